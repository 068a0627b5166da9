/** German. */

import type { Words } from "./en.ts";

export const de: Words = {
  documentTitle: "Geteilte Fotos",
  brand: "Safelight",

  door: {
    title: "Jemand hat Fotos mit dir geteilt",
    text: "Sie reisen verschlüsselt, und nur dieser Link öffnet sie.",
    textPassword: "Sie reisen verschlüsselt. Dieser Link öffnet sie zusammen mit dem Passwort, das du dazu bekommen hast.",
    open: "Öffnen",
    password: "Passwort",
    passwordMissing: "Gib das Passwort ein, das du zum Link bekommen hast.",
    showPassword: "Passwort anzeigen",
    hidePassword: "Passwort verbergen",
    wrong: "So ließ es sich nicht öffnen. Das Passwort stimmt nicht, oder der Link ist hier nicht bekannt.",
    recorded: "Wer dir den Link geschickt hat, kann sehen, dass er geöffnet wurde.",
  },

  opening: {
    title: "Wird geöffnet",
    password: "Aus dem Passwort wird der Schlüssel berechnet. Das dauert ein paar Sekunden und hält Ratende fern.",
    asking: "Holt, was geteilt wurde.",
    progress: "Schlüssel wird berechnet",
  },

  checking: "Einen Augenblick",

  paste: {
    titleMissing: "Die zweite Hälfte des Links fehlt",
    titleCut: "Dieser Link wurde abgeschnitten",
    titleMangled: "Dieser Link wurde unterwegs verändert",
    titleVersion: "Dieser Link ist neuer als diese Seite",
    titleAgain: "Füge den ganzen Link ein",
    again: "Vielleicht hat er auf dem Weg hierher etwas verloren.",
    missing: "Was die Fotos öffnet, steht in der Adresse hinter dem # und ist nicht angekommen. Verloren ist nichts.",
    cut: "Ein Programm hat die Adresse unterwegs gekürzt, nun fehlt ein Teil von dem, was die Fotos öffnet. Verloren ist nichts.",
    mangled: "Ein paar Buchstaben der Adresse sind nicht mehr, was sie waren. Verloren ist nichts.",
    version: "Er wurde mit einem neueren Safelight gemacht als dem, das hier läuft. Bitte die Person, die ihn geschickt hat, ihren Server zu aktualisieren.",
    help: "Geh zurück zur Nachricht, kopiere den ganzen Link und füge ihn hier ein.",
    label: "Der ganze Link",
    action: "Diesen Link verwenden",
    stillCut: "Ein Teil fehlt noch. Kopiere ihn von https:// bis zum allerletzten Buchstaben.",
    stillMangled: "Auch dieser ist nicht heil. Bitte darum, ihn noch einmal zu schicken.",
    notALink: "Das sieht nicht nach einem Link zu geteilten Fotos aus.",
  },

  refused: {
    expiredTitle: "Dieser Link ist abgelaufen",
    expired: "Er galt für eine Weile, und die ist vorbei. Bitte die Person, die ihn geschickt hat, um einen neuen.",
    revokedTitle: "Dieser Link wurde zurückgezogen",
    revoked: "Wer ihn gemacht hat, hat ihn zurückgenommen. Frag nach, wenn dich das überrascht.",
    exhaustedTitle: "Dieser Link ist aufgebraucht",
    exhausted:
      "Er ließ sich nur eine bestimmte Zahl von Malen öffnen, und so oft wurde er geöffnet. Hast du ihn schon einmal geöffnet, nimm denselben Browser; sonst bitte um einen neuen.",
    unknownTitle: "Das ließ sich nicht öffnen",
    unknown: "Der Link ist hier nicht bekannt. Vielleicht ist seine Adresse nicht ganz heil, oder er wird nicht mehr aufbewahrt.",
    substitutedTitle: "Das sind nicht die Fotos, die dir geschickt wurden",
    substituted:
      "Was dieser Server herausgab, hat nicht unterschrieben, wer deinen Link gemacht hat. Deshalb wird nichts davon gezeigt. Sag der Person, was du hier siehst.",
    pasteInstead: "Link noch einmal einfügen",
  },

  trouble: {
    networkTitle: "Der Server ist nicht erreichbar",
    network: "Vielleicht ist die Verbindung weg. Verloren ist nichts: Versuch es noch einmal, wenn sie wieder da ist.",
    busyTitle: "Ein wenig zu schnell",
    busy: "Von hier kamen zu viele Versuche. Warte eine Minute und versuch es dann noch einmal.",
    serverTitle: "Der Server ist gestolpert",
    server: "Er konnte gerade nicht antworten. Verloren ist nichts; versuch es gleich noch einmal.",
    retry: "Noch einmal versuchen",
  },

  insecure: {
    title: "Diese Adresse ist nicht geschützt",
    text: "Die Fotos werden in deinem Browser entschlüsselt, und das tun Browser nur auf Adressen, die mit https:// beginnen.",
    action: "Mit https:// versuchen",
    operator:
      "Ist das dein eigener Server: gib ihm ein Zertifikat (--tls-cert und --tls-key), stell ihn hinter eine https-Adresse, oder öffne ihn auf demselben Rechner als http://localhost.",
  },

  old: {
    title: "Dieser Browser ist zu alt",
    text: "Er kann keine Fotos entschlüsseln. Ein aktueller Firefox, Chrome, Edge oder Safari kann es: öffne den Link dort.",
  },

  upload: {
    title: "Jemand bittet dich um Fotos",
    text: "Dieser Link ist zum Hinzufügen von Fotos. Er zeigt keine, weder deine noch die von anderen.",
    how: "Eine Seite dafür gibt es noch nicht. Bis dahin benutzt man ihn in einem Terminal, mit dem ganzen Link und einem Ordner:",
    command: "safelight link upload LINK ORDNER",
    sender: "Wenn du hier Fotos sehen wolltest, bitte um einen anderen Link.",
  },

  gallery: {
    label: "Fotos",
    items: (count, number) => `${number} ${count === 1 ? "Aufnahme" : "Aufnahmen"}`,
    photos: (count, number) => `${number} ${count === 1 ? "Foto" : "Fotos"}`,
    until: (date) => `offen bis ${date}`,
    lookOnly: "zum Ansehen",
    empty: "Hier ist noch nichts.",
    loadingMore: "Der Rest wird geholt",
    moreFailed: "Der Rest ist nicht angekommen.",
    lock: "Sperren",
    lockHint: "Das Passwort in diesem Tab vergessen",
    end: "Verschlüsselt, vom Fotografieren bis zu dir. Der Server dazwischen sieht kein einziges Bild.",
    opened: (title, count) => `Geöffnet: ${title}, ${count}`,
    untitled: "Geteilte Fotos",
  },

  asset: {
    photo: (number) => `Foto ${number}`,
    video: (number) => `Video ${number}`,
    file: (number) => `Datei ${number}`,
    videoKind: "Video",
    fileKind: "Datei",
    photoKind: "Foto",
    damaged: "Dieses kam nicht so an, wie es geschickt wurde, und wird deshalb nicht gezeigt.",
    missing: "Dieses ist nicht angekommen.",
    noPreview: "Hiervon gibt es keine Vorschau.",
    noPreviewDownload: "Hiervon gibt es keine Vorschau. Du kannst es herunterladen.",
  },

  viewer: {
    label: "Ansicht",
    close: "Schließen",
    previous: "Zurück",
    next: "Weiter",
    info: "Einzelheiten",
    fullScreen: "Vollbild",
    leaveFullScreen: "Vollbild verlassen",
    download: "Herunterladen",
    position: (number, count) => `${number} von ${count}`,
    retry: "Noch einmal versuchen",
  },

  info: {
    title: "Einzelheiten",
    number: "Nummer",
    name: "Name",
    taken: "Aufgenommen",
    size: "Größe",
    pixels: (width, height) => `${width} × ${height} Pixel`,
    length: "Länge",
    downloads: "Herunterladen",
    close: "Einzelheiten schließen",
    parts: { original: "Original", motion: "Bewegter Teil", raw: "Rohdatei", sidecar: "Begleitdatei", preview: "Vorschau", thumbnail: "Miniatur" },
  },

  download: {
    running: (percent) => `Wird heruntergeladen, ${percent}`,
    done: (name) => `Heruntergeladen: ${name}`,
    failed: "Das Herunterladen wurde nicht fertig. Versuch es noch einmal.",
    damaged: "Was ankam, ist nicht, was unterschrieben wurde, und wurde deshalb nicht gespeichert.",
    cancel: "Herunterladen abbrechen",
  },
};
