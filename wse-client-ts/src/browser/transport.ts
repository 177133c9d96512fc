// The transport role over the browser's WebSocket (also Node 22's).
import type { Socket, SocketEvents, Transport } from '../core/transport';

/** Opens real WebSockets; `implementation` replaces the global one, such as that of the `ws` package. */
export function webSocketTransport(implementation?: typeof WebSocket): Transport {
  return {
    open(url: string, protocols: readonly string[], events: SocketEvents): Socket {
      const Implementation = implementation ?? WebSocket;
      const socket = new Implementation(url, [...protocols]);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => events.onOpen();
      socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => events.onMessage(event.data);
      socket.onclose = (event) => events.onClose(event.code, event.reason);
      // An error is always followed by a close, which says more.
      socket.onerror = () => undefined;
      return {
        send(frame) {
          if (socket.readyState === Implementation.OPEN) socket.send(frame);
        },
        close(code, reason) {
          socket.close(code, reason);
        },
      };
    },
  };
}
