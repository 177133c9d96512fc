// The storage role over sessionStorage: per tab, gone with it; a page that may not store simply does not.
import type { Storage } from '../core/storage';

/** Storage of the tab. */
export const sessionStore: Storage = {
  async read(key) {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  async write(key, value) {
    try {
      sessionStorage.setItem(key, value);
    } catch {
      // Blocked or full: remembering is a convenience.
    }
  },
};
