/** English. Every language has the same keys; functions take what varies. */

export const en = {
  documentTitle: "Shared photos",
  brand: "Safelight",

  door: {
    title: "Someone shared photos with you",
    text: "They travel encrypted, and only this link opens them.",
    textPassword: "They travel encrypted. This link opens them together with the password that came with it.",
    open: "Open",
    password: "Password",
    passwordMissing: "Type the password that came with the link.",
    showPassword: "Show password",
    hidePassword: "Hide password",
    wrong: "That did not open. The password is not right, or the link is not known here.",
    recorded: "Whoever sent you the link can see that it was opened.",
  },

  opening: {
    title: "Opening",
    password: "Working out the key from the password. This takes a few seconds, and is what keeps guessers out.",
    asking: "Fetching what was shared.",
    progress: "Working out the key",
  },

  checking: "One moment",

  paste: {
    titleMissing: "The second half of the link is missing",
    titleCut: "This link was cut short",
    titleMangled: "This link was changed on its way",
    titleVersion: "This link is newer than this page",
    titleAgain: "Paste the whole link",
    again: "Perhaps it lost something on its way here.",
    missing: "What opens the photos stands after the # in the address, and it did not arrive. Nothing is lost.",
    cut: "A program on the way shortened the address, so what opens the photos is not all there. Nothing is lost.",
    mangled: "A letter or two of the address are not what they were. Nothing is lost.",
    version: "It was made by a newer Safelight than the one that runs here. Ask whoever sent it to update their server.",
    help: "Go back to the message, copy the whole link, and paste it here.",
    label: "The whole link",
    action: "Use this link",
    stillCut: "Part of it is still missing. Copy it from its https:// to its very last letter.",
    stillMangled: "This one is not whole either. Ask whoever sent it to send it again.",
    notALink: "This does not look like a link to shared photos.",
  },

  refused: {
    expiredTitle: "This link has expired",
    expired: "It was made to work for a while, and that while is over. Ask whoever sent it for a new one.",
    revokedTitle: "This link was withdrawn",
    revoked: "Whoever made it has taken it back. If that is a surprise, ask them.",
    exhaustedTitle: "This link has been used up",
    exhausted:
      "It could be opened a certain number of times, and that many have opened it. If you opened it before, use the same browser again. Otherwise ask whoever sent it for a new one.",
    unknownTitle: "This did not open",
    unknown: "The link is not known here. Perhaps its address is not quite whole, or it is no longer kept.",
    substitutedTitle: "These are not the photos you were sent",
    substituted:
      "What this server handed out was not signed by whoever made your link, so nothing of it is shown. Tell them what you see here.",
    pasteInstead: "Paste the link again",
  },

  trouble: {
    networkTitle: "The server cannot be reached",
    network: "Perhaps the connection is down. Nothing is lost: try again when it is back.",
    busyTitle: "A little too fast",
    busy: "Too many attempts came from here. Wait a minute, then try again.",
    serverTitle: "The server stumbled",
    server: "It could not answer just now. Nothing is lost; try again in a moment.",
    retry: "Try again",
  },

  insecure: {
    title: "This address is not protected",
    text: "The photos are decrypted in your browser, and browsers do that only on addresses that begin with https://.",
    action: "Try it with https://",
    operator:
      "If this is your own server: give it a certificate (--tls-cert and --tls-key), put it behind an https address, or open it on the same machine as http://localhost.",
  },

  old: {
    title: "This browser is too old",
    text: "It cannot decrypt photos. A current Firefox, Chrome, Edge or Safari can: open the link there.",
  },

  upload: {
    title: "Someone asks you for photos",
    text: "This link is for adding photos. It shows none, neither yours nor anyone else's.",
    how: "There is no page for it yet. Until there is, it is used in a terminal, with the whole link and a folder:",
    command: "safelight link upload LINK FOLDER",
    sender: "If you expected to see photos here, ask whoever sent it for another link.",
  },

  gallery: {
    label: "Photos",
    items: (count: number, number: string) => `${number} ${count === 1 ? "item" : "items"}`,
    photos: (count: number, number: string) => `${number} ${count === 1 ? "photo" : "photos"}`,
    until: (date: string) => `open until ${date}`,
    lookOnly: "for viewing",
    empty: "There is nothing in here yet.",
    loadingMore: "Fetching the rest",
    moreFailed: "The rest did not arrive.",
    lock: "Lock",
    lockHint: "Forget the password in this tab",
    end: "Encrypted from the photographer to you. The server between you cannot see a single picture.",
    opened: (title: string, count: string) => `Opened: ${title}, ${count}`,
    untitled: "Shared photos",
  },

  asset: {
    photo: (number: string) => `Photo ${number}`,
    video: (number: string) => `Video ${number}`,
    file: (number: string) => `File ${number}`,
    videoKind: "Video",
    fileKind: "File",
    photoKind: "Photo",
    damaged: "This one did not arrive as it was sent, so it is not shown.",
    missing: "This one has not arrived.",
    noPreview: "There is no preview of this one.",
    noPreviewDownload: "There is no preview of this one. You can download it.",
  },

  viewer: {
    label: "Viewer",
    close: "Close",
    previous: "Previous",
    next: "Next",
    info: "Details",
    fullScreen: "Full screen",
    leaveFullScreen: "Leave full screen",
    download: "Download",
    position: (number: string, count: string) => `${number} of ${count}`,
    retry: "Try again",
  },

  info: {
    title: "Details",
    number: "Number",
    name: "Name",
    taken: "Taken",
    size: "Size",
    pixels: (width: string, height: string) => `${width} × ${height} pixels`,
    length: "Length",
    downloads: "Download",
    close: "Close details",
    parts: { original: "Original", motion: "Moving part", raw: "Raw file", sidecar: "Sidecar", preview: "Preview", thumbnail: "Thumbnail" },
  },

  download: {
    running: (percent: string) => `Downloading, ${percent}`,
    done: (name: string) => `Downloaded: ${name}`,
    failed: "The download did not complete. Try again.",
    damaged: "What arrived is not what was signed, so it was not saved.",
    cancel: "Cancel download",
  },
};

/** What every language says. */
export type Words = typeof en;
