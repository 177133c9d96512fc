// Mounts components in StrictMode under whichever React the project runs, on fakes.
import { act, StrictMode, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { installFakes, type Fakes } from '../../src/testing';

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

/** A mounted tree and the world around it. */
export interface Mounted extends Fakes {
  readonly text: () => string;
  readonly render: (view: ReactNode) => Promise<void>;
  readonly advance: (ms: number) => Promise<void>;
  readonly unmount: () => Promise<void>;
}

/** Mounts `view`; the fakes are taken away by `unmount` and what follows it. */
export async function mount(view: ReactNode): Promise<Mounted> {
  const fakes = installFakes();
  const element = document.createElement('div');
  const root = createRoot(element);
  const advance = (ms: number): Promise<void> => act(async () => fakes.clock.advance(ms));
  const render = async (next: ReactNode): Promise<void> => {
    await act(async () => root.render(<StrictMode>{next}</StrictMode>));
    await advance(0);
  };
  const unmount = (): Promise<void> => act(async () => root.unmount());
  await render(view);
  return { ...fakes, text: () => element.textContent, render, advance, unmount };
}
