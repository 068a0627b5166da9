"""One connection: how it answers what is no request, and how a large body is taken past aiohttp's parser.

The parser copies every byte and hands it on in small new pieces. A body whose length is known needs no parser: what is
left of it is read from the connection by `Receiving`, and a new parser goes on with the request after it.
"""

from http import HTTPStatus
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import HttpRequestParser

from safelight.server.routes.problems import problem_response, set_common_headers
from safelight.sync_protocol.refusals import Code, Refused


class Connection(web.RequestHandler):
    """A connection whose answer to what is no request is a refusal like any other.

    aiohttp's own repeats the line that it did not understand, which may hold a token, and names itself.
    """

    __slots__ = ("_auto_decompress", "_content", "_unread_bytes")

    def __init__(self, *arguments: Any, auto_decompress: bool = True, **options: Any) -> None:
        super().__init__(*arguments, auto_decompress=auto_decompress, **options)
        self._auto_decompress = auto_decompress
        self._content: StreamReader | None = None
        self._unread_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what arrived; what is left of a body that nobody wants any more is passed over, and is no request."""
        if self._unread_bytes:
            passed_over_bytes = min(len(data), self._unread_bytes)
            self._unread_bytes -= passed_over_bytes
            data = data[passed_over_bytes:]
            if self._unread_bytes:
                return
            self._end_content()
            if not data:
                return
        super().data_received(data)

    @property
    def passes_bytes_over(self) -> bool:
        """Whether what arrives is thrown away, as it is where the server stops: a body that goes on has a hole then."""
        return self._close or self._force_close

    def leave_body(self, content: StreamReader) -> None:
        """From now on somebody else reads the body, of which *content* has no more than it holds already."""
        self._content = content
        self._parser = HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=self._auto_decompress,
            max_msg_queue_size=self._max_msg_queue_size,
        )

    def take_body_back(self, unread_bytes: int) -> None:
        """Nobody else reads any more, though *unread_bytes* of the body are still to come."""
        self._unread_bytes = unread_bytes
        if not unread_bytes:
            self._end_content()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - what could not be parsed, which is not repeated
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and mistakes that nothing else caught; the connection closes."""
        if isinstance(exc, ConnectionError):
            raise exc  # whoever asked went away, or was cut off: no mistake, and not to be logged by the thousand
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log_exception("the server made a mistake", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        code = Code.SERVER_FAULT if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Code.BAD_REQUEST
        response = problem_response(Refused(code))
        set_common_headers(response)
        response.force_close()
        return response

    def _end_content(self) -> None:
        """Let aiohttp know that the body is over, so that it goes on with the next request."""
        content, self._content = self._content, None
        if content is not None and not content.is_eof():
            content.feed_eof()
