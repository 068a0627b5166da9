"""The `safelight` command's entry: everything that goes wrong ends in one line on stderr and an exit code.

0 done, 1 refused or failed, 2 not called as it can be, 130 stopped by Ctrl-C.
"""

import contextlib
import os
import resource
import sys
import traceback
from collections.abc import Sequence

import typer
import typer.main

from safelight.clients.cli.app import app
from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.output import complain
from safelight.clients.engine.garbage import collect_seldom
from safelight.sync_protocol.refusals import Refused

EXIT_REFUSED = 1
EXIT_MISUSE = 2
EXIT_STOPPED = 130
_DEBUG_VARIABLE = "SAFELIGHT_DEBUG"


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name="safelight", standalone_mode=False)
    except Refused as refusal:
        complain(str(refusal))
        return EXIT_REFUSED
    except Misuse as misuse:
        complain(str(misuse))
        return EXIT_MISUSE
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        complain("stopped")
        return EXIT_STOPPED
    except BrokenPipeError:
        # Whoever read the output has gone; the interpreter would complain about it once more when it ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    except OSError as error:
        complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        return EXIT_REFUSED
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, whatever happened; a developer asks for more
        if os.environ.get(_DEBUG_VARIABLE):
            traceback.print_exc()
        complain(f"an error that should not happen: {type(error).__name__} (set {_DEBUG_VARIABLE}=1 to see where)")
        return EXIT_REFUSED
    if code == EXIT_STOPPED:
        complain("stopped")  # typer makes this code of a Ctrl-C, without a word
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException) -> int:
    message = error.format_message()
    if message.startswith(("Usage:", "\n")):
        print(message.strip(), file=sys.stderr)  # a command group without a command: its help
    else:
        message = " ".join(message.replace("Value error, ", "").split()).rstrip(".")
        complain(message + (" See --help." if message.endswith("?") else "; see --help"))
    return error.exit_code


def main() -> None:
    """Run the command that was typed. No crash leaves passwords and keys in a core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    collect_seldom()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
