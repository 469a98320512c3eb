"""The first report's own system: CPython's Proactor event loop, unmodified, with a small HTTP server on it.

On Windows that is the loop as it is. Elsewhere it gets a stand-in for Windows' completion port, with one synthetic step:
an accepted connection that its client has already reset completes as the error that Windows gives for it (WinError 64,
ERROR_NETNAME_DELETED), which these systems hide. Prints one line: the port and the version. Ends when its input does.
"""

import asyncio
import errno
import logging
import selectors
import socket
import sys
import threading
from asyncio import proactor_events

NAME_DELETED = 64
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Completions:
    """Does an operation once its socket is ready, and reports it as Windows would: done, or failed."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.loop = None

    def set_loop(self, loop):
        self.loop = loop

    def accept(self, listener):
        def operation():
            connection, address = listener.accept()
            connection.setblocking(False)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET:
                connection.close()
                gone = OSError(errno.EINVAL, "The specified network name is no longer available")
                gone.winerror = NAME_DELETED
                raise gone
            return connection, address

        return self.begin(listener, READ, operation)

    def recv(self, connection, size, flags=0):
        return self.begin(connection, READ, lambda: connection.recv(size, flags))

    def recv_into(self, connection, buffer, flags=0):
        return self.begin(connection, READ, lambda: connection.recv_into(buffer, 0, flags))

    def send(self, connection, data, flags=0):
        rest = memoryview(bytes(data))

        def operation():
            nonlocal rest
            while rest:
                rest = rest[connection.send(rest, flags) :]

        return self.begin(connection, WRITE, operation)

    def begin(self, connection, event, operation):
        future = self.loop.create_future()
        number = connection.fileno()
        pending = self.pending(number)
        self.watch(number, pending + [(event, operation, future)])
        future.add_done_callback(lambda done: self.forget(number, done))
        return future

    def pending(self, number):
        try:
            return self.selector.get_key(number).data
        except KeyError:
            return []

    def watch(self, number, pending):
        """Handles are closed without a word and their numbers used again, so the entry is made anew each time."""
        try:
            self.selector.unregister(number)
        except (KeyError, ValueError):
            pass
        events = 0
        for event, _, _ in pending:
            events |= event
        if events:
            self.selector.register(number, events, pending)

    def forget(self, number, future):
        pending = self.pending(number)
        left = [entry for entry in pending if entry[2] is not future]
        if len(left) < len(pending):
            self.watch(number, left)

    def select(self, timeout=None):
        for key, events in self.selector.select(timeout):
            for event, operation, future in key.data:
                if events & event and not future.done():
                    try:
                        future.set_result(operation())
                    except (BlockingIOError, InterruptedError):
                        pass
                    except OSError as why:
                        future.set_exception(why)
        return []

    def _stop_serving(self, listener):
        for _, _, future in self.pending(listener.fileno()):
            future.cancel()

    def close(self):
        self.selector.close()


class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.head = transport, b""

    def data_received(self, data):
        self.head += data
        if b"\r\n\r\n" in self.head:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            self.transport.close()


def until_the_input_ends(loop, ended):
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(ended.set)


async def serve():
    ended = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(port, "%d.%d.%d" % sys.version_info[:3], flush=True)
    threading.Thread(target=until_the_input_ends, args=(asyncio.get_running_loop(), ended), daemon=True).start()
    await ended.wait()


# It says "Accept failed on a socket" once and goes on without its listener; the demo shows that itself.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
if sys.platform == "win32":
    loop = asyncio.ProactorEventLoop()
else:
    loop = proactor_events.BaseProactorEventLoop(Completions())
    # As Windows' own subclass does when it starts to run.
    loop.call_soon(loop._loop_self_reading)
asyncio.set_event_loop(loop)
loop.run_until_complete(serve())
