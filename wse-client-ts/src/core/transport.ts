// The transport role: opens one message socket; the browser's WebSocket and the tests' fake implement it.

/** An open or opening socket. */
export interface Socket {
  /** Sends one frame, text or binary; ignored when the socket is not open. */
  send(frame: string | Uint8Array<ArrayBuffer>): void;
  /** Starts the close, with 1000 or 3000 to 4999: all that a browser lets a page send. Nothing is reported to the owner's events that it detached from. */
  close(code?: number, reason?: string): void;
}

/** What a socket reports to its owner. `onClose` comes exactly once, also when it never opened (code 1006). */
export interface SocketEvents {
  onOpen(): void;
  onMessage(data: string | ArrayBuffer): void;
  onClose(code: number, reason: string): void;
}

/** Opens sockets. Throws only for a URL that can never work. */
export interface Transport {
  open(url: string, protocols: readonly string[], events: SocketEvents): Socket;
}
