"""A Tornado application that answers only what a Guard lets pass."""

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from helpers.pages.guard import Guard


def guarded(application: type[Application], guard: Guard) -> type[Application]:
    """That kind of Tornado application, which answers only what the guard lets pass."""

    class Guarded(application):
        def find_handler(self, request: HTTPServerRequest, **options: object) -> object:
            peer = request.connection.context.address
            origin = request.headers.get("Origin")
            sentence = guard.refusal(request.path, request.host, origin, peer)
            if sentence is None:
                return super().find_handler(request, **options)
            return self.get_handler_delegate(request, Refused, {"sentence": sentence})

    return Guarded


class Refused(RequestHandler):
    """Answers every method with 403 and a sentence, a websocket's handshake too."""

    def initialize(self, sentence: str) -> None:
        self.sentence = sentence

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain")
        self.finish(self.sentence)
