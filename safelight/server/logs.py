"""Logs: structured, to stderr, for people or machines; nothing secret is ever handed to them."""

import logging
import sys
from typing import Literal

import structlog
from aiohttp.http import HttpProcessingError


class _WithoutAddresses(logging.Filter):
    """Keeps the addresses that aiohttp logs out of the log, and what is not HTTP altogether: anyone can send that."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Blank the record's arguments; drop it if a request could not be read."""
        error = record.exc_info[1] if record.exc_info else None
        record.msg, record.args = "a request failed outside its route", ()
        return not isinstance(error, HttpProcessingError)


def configure(log_format: Literal["console", "json"], level: str) -> None:
    """Send our own log and that of the libraries the same way."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
        shared.append(structlog.processors.format_exc_info)
    else:
        # Without local variables: a traceback must not carry a token, a proof or an address into the log.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.getLogger("aiohttp.server").addFilter(_WithoutAddresses())
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
