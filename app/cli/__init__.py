"""The command line: parses, calls the lab, and prints; exit codes as the contract has them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import click

from app.cli import (
    demo,
    doctor,
    evaluate,
    export,
    keeping,
    log,
    premise,
    queue,
    replay,
    runs,
    sequence,
    serve,
    task,
    task_leaks,
    task_rows,
    traces,
    train,
    user,
)
from app.cli.output import failure_log, show_error
from backend.errors import SdlabError, UserError, is_disk_full

EPILOG = "SDLAB_HOME is the lab's folder. Start with: sdlab demo"


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sdlab")
def sdlab() -> None:
    """A lab for teaching language models from demonstrations without making them forget."""


for command in (
    demo.demo,
    task.task,
    premise.premise,
    train.train,
    sequence.sequence,
    runs.runs,
    runs.show,
    runs.stop,
    runs.resume,
    log.log,
    queue.queue,
    replay.replay,
    traces.traces,
    evaluate.evaluate,
    evaluate.compare,
    export.export,
    keeping.storage,
    keeping.delete,
    keeping.archive,
    keeping.unarchive,
    keeping.clean,
    keeping.backup,
    keeping.restore,
    doctor.doctor,
    serve.serve,
    user.user,
):
    sdlab.add_command(command)
for part in (task_rows.edit, task_rows.diff, task_leaks.leaks):
    task.task.add_command(part)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done. 2: a user's mistake, in one sentence. 1: a fault of ours."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        result = sdlab.main(arguments, prog_name="sdlab", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return show_error(_usage(error, arguments), as_json)
    except SdlabError as error:
        # Whatever could not be done, this is why.
        return show_error(failure_log(error) if is_disk_full(error) else error, as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("no longer waiting; runs go on, see: sdlab runs (and sdlab stop RUN)", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        return show_error(failure_log(error), as_json)


def _usage(error: click.ClickException, arguments: Sequence[str]) -> UserError:
    """What click found, with the command that it found it in."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else _command_in(arguments)
    return UserError(
        error.format_message().rstrip("."),
        where=command.removeprefix("sdlab ") if command != "sdlab" else "command line",
        remedy=f"see: {command} --help",
    )


def _command_in(arguments: Sequence[str]) -> str:
    """The command that they begin with; click names none for an option without its value."""
    names: list[str] = ["sdlab"]
    command: click.Command = sdlab
    for name in arguments:
        if not isinstance(command, click.Group) or name not in command.commands:
            break
        names.append(name)
        command = command.commands[name]
    return " ".join(names)
