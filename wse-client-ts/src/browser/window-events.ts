// Hands events to the page as window CustomEvents, without ever imitating one of the browser's own.
import type { WSEClient } from '../core/client';
import { isDirect } from '../core/direct';

/** Native events of windows and documents that have no `on...` property everywhere. */
const NATIVE = new Set(['DOMContentLoaded', 'visibilitychange', 'readystatechange', 'fullscreenchange', 'fullscreenerror', 'pointerlockchange', 'selectionchange', 'deviceorientationabsolute', 'gamepadconnected', 'gamepaddisconnected', 'compositionstart', 'compositionupdate', 'compositionend', 'focusin', 'focusout', 'touchstart', 'touchend', 'touchmove', 'touchcancel', 'DOMActivate', 'beforeinstallprompt', 'appinstalled', 'vrdisplaypresentchange', 'securitypolicyviolation', 'prerenderingchange', 'freeze', 'resume']);

const warned = new Set<string>();

/** The name under which the window hears it: native names and names in our own space get the prefix `wse:`. */
export function windowEventName(name: string, target: object): string {
  const native = `on${name}` in target || NATIVE.has(name);
  return native || name.startsWith('wse:') ? `wse:${name}` : name;
}

/**
 * Dispatches each event once per distinct name of {type, topic}, `detail` being the payload, and the client's own
 * notices as `wse:status`, `wse:error`, `wse:resync`, `wse:direct`, `wse:skip`, `wse:snapshot`, `wse:presence`, `wse:outbox`. Returns what ends it.
 */
export function bridgeToWindow(client: WSEClient, target: EventTarget): () => void {
  const dispatch = (name: string, detail: unknown): void => {
    target.dispatchEvent(new CustomEvent(name, { detail }));
  };
  const stops = [
    client.on('*', (payload, { type, topic, category }) => {
      if (category === 'S') return;
      // The server's own names are no application's.
      const own = topic === undefined || isDirect(topic) ? type : topic;
      for (const name of new Set([type, own])) dispatch(safeName(name, target), payload);
    }),
    client.onNotice('status', (state) => dispatch('wse:status', state)),
    client.onNotice('error', (error) => dispatch('wse:error', error)),
    client.onNotice('resync', (resync) => dispatch('wse:resync', resync)),
    client.onNotice('direct', (direct) => dispatch('wse:direct', direct)),
    client.onNotice('snapshot', (snapshot) => dispatch('wse:snapshot', snapshot)),
    client.onNotice('presence', (presence) => dispatch('wse:presence', presence)),
    client.onNotice('skip', (skip) => dispatch('wse:skip', skip)),
    client.onNotice('outbox', (message) => dispatch('wse:outbox', message)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function safeName(name: string, target: EventTarget): string {
  const safe = windowEventName(name, target);
  if (safe !== name && !warned.has(name)) {
    warned.add(name);
    console.warn(`wse-client: "${name}" is an event of the browser or of wse-client itself; listen to "${safe}" instead.`);
  }
  return safe;
}

declare global {
  interface Window {
    /** Events of `wse-client`: any name that is no native event; `event.detail` is the payload. */
    addEventListener<Name extends string>(
      type: Name extends keyof WindowEventMap ? never : Name,
      listener: (event: CustomEvent) => void,
      options?: boolean | AddEventListenerOptions,
    ): void;
    removeEventListener<Name extends string>(
      type: Name extends keyof WindowEventMap ? never : Name,
      listener: (event: CustomEvent) => void,
      options?: boolean | EventListenerOptions,
    ): void;
  }
}
