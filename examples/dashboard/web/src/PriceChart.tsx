// The chart: uPlot over the market's series, scrolled with the server's time, its range eased.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import * as format from './format';
import type { Market, Series } from './market';

const WINDOW_SECONDS = 90;
const FRAME_MS = 33;

interface Props {
  readonly market: Market;
  readonly selected: string;
  readonly compare: boolean;
  readonly live: boolean;
}

export function PriceChart({ market, selected, compare, live }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const now = useRef({ live });
  now.current.live = live;
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const chart = new LiveChart(element, market, selected, compare, now.current);
    return () => chart.destroy();
  }, [market, selected, compare]);
  return <div ref={box} className="plot" role="img" aria-label={compare ? 'Change of all instruments within 90 seconds' : `Price of ${selected} within 90 seconds`} />;
}

/** Owns one uPlot and redraws it while the page is visible. */
class LiveChart {
  readonly #element: HTMLElement;
  readonly #market: Market;
  readonly #selected: string;
  readonly #compare: boolean;
  readonly #state: { live: boolean };
  readonly #still = matchMedia('(prefers-reduced-motion: reduce)');
  readonly #scheme = matchMedia('(prefers-color-scheme: dark)');
  readonly #resize: ResizeObserver;
  #plot: uPlot | null = null;
  #shown = '';
  #range: [number, number] | null = null;
  #last = 0;
  #frame = 0;

  constructor(element: HTMLElement, market: Market, selected: string, compare: boolean, state: { live: boolean }) {
    this.#element = element;
    this.#market = market;
    this.#selected = selected;
    this.#compare = compare;
    this.#state = state;
    this.#resize = new ResizeObserver(() => this.#plot?.setSize(this.#size()));
    this.#resize.observe(element);
    this.#scheme.addEventListener('change', this.#rebuild);
    this.#frame = requestAnimationFrame(this.#draw);
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#resize.disconnect();
    this.#scheme.removeEventListener('change', this.#rebuild);
    this.#plot?.destroy();
  }

  readonly #rebuild = (): void => {
    this.#plot?.destroy();
    this.#plot = null;
  };

  readonly #draw = (at: number): void => {
    this.#frame = requestAnimationFrame(this.#draw);
    if (at - this.#last < (this.#still.matches ? 1_000 : FRAME_MS)) return;
    this.#last = at;
    const series = this.#compare ? this.#market.series : this.#market.series.filter((s) => s.symbol === this.#selected);
    if (series.length === 0 || series[0]?.times.length === 0) return;
    const names = series.map((s) => s.symbol).join();
    if (names !== this.#shown) this.#rebuild();
    this.#shown = names;
    const until = this.#market.now();
    const [times, lines] = this.#window(series, until);
    this.#ease(lines);
    this.#plot ??= new uPlot(this.#options(series), [times, ...lines], this.#element);
    this.#plot.batch(() => {
      this.#plot?.setData([times, ...lines], false);
      this.#plot?.setScale('x', { min: until - WINDOW_SECONDS, max: until + 1.5 });
      const [min, max] = this.#range ?? [0, 1];
      this.#plot?.setScale('y', { min, max });
    });
  };

  /** The visible part. All instruments tick together, so that the first one's times are everyone's. */
  #window(series: readonly Series[], until: number): [number[], number[][]] {
    const first = series[0] as Series;
    const from = Math.max(0, first.times.findIndex((t) => t >= until - WINDOW_SECONDS - 1));
    const times = first.times.slice(from);
    const lines = series.map((s) => {
      const visible = s.prices.slice(s.prices.length - times.length);
      const base = visible[0] ?? 1;
      return this.#compare ? visible.map((p) => (p / base - 1) * 100) : visible;
    });
    // The line's end slides to where the newest price is, instead of jumping there.
    if (this.#state.live && times.length > 1) slide(times, lines, until);
    return [times, lines];
  }

  /** Moves the vertical range towards what is visible, a part of the way each frame. */
  #ease(lines: readonly number[][]): void {
    let low = Infinity;
    let high = -Infinity;
    for (const line of lines) for (const value of line) [low, high] = [Math.min(low, value), Math.max(high, value)];
    const margin = (high - low || Math.abs(high) || 1) * 0.12;
    const wanted: [number, number] = [low - margin, high + margin];
    const pace = this.#range === null || this.#still.matches ? 1 : 0.12;
    const [min, max] = this.#range ?? wanted;
    this.#range = [min + (wanted[0] - min) * pace, max + (wanted[1] - max) * pace];
  }

  /** The chosen instrument's newest price, which has a tag at the axis; null when all instruments are compared. */
  #newest(): number | null {
    return this.#compare ? null : (this.#market.series.find((s) => s.symbol === this.#selected)?.prices.at(-1) ?? null);
  }

  /** A level's label; none where the tag of the newest price lies over it. */
  #level(u: uPlot, value: number, ticks: readonly number[]): string {
    if (this.#compare) return value === 0 ? '0 %' : format.percent(value);
    const end = u.data[1]?.at(-1);
    return typeof end === 'number' && Math.abs(u.valToPos(value, 'y') - u.valToPos(end, 'y')) < 18 ? '' : axisPrice(value, ticks);
  }

  #size(): { width: number; height: number } {
    return { width: this.#element.clientWidth, height: this.#element.clientHeight };
  }

  #options(series: readonly Series[]): uPlot.Options {
    const css = getComputedStyle(this.#element);
    const colour = (name: string): string => css.getPropertyValue(name).trim();
    const symbols = series.map((s) => s.symbol);
    const font = `500 11px ${css.fontFamily}`;
    const axis = { stroke: colour('--muted'), font, grid: { stroke: colour('--grid'), width: 1 }, ticks: { show: false } };
    return {
      ...this.#size(),
      padding: [8, 0, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: true }, y: {} },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 26, gap: 6, values: (u, ticks) => ticks.map((t) => (u.valToPos(t, 'x') < 26 ? '' : format.clock(t * 1000))) },
        { ...axis, side: 1, space: 46, size: 66, gap: 8, values: (u, ticks) => ticks.map((t) => this.#level(u, t, ticks)) },
      ],
      series: [
        {},
        ...series.map(({ symbol }) => ({
          label: symbol,
          stroke: colour(`--line-${symbol}`) || colour('--accent'),
          width: this.#compare && symbol !== this.#selected ? 1.5 : 2,
          points: { show: false },
          ...(this.#compare ? {} : { fill: (u: uPlot) => shade(u, colour(`--line-${symbol}`) || colour('--accent')) }),
        })),
      ],
      hooks: { draw: [(u) => drawEnds(u, symbols, colour, font, this.#newest(), this.#state.live)] },
    };
  }
}

/** Adds a point at `until`, on the way from the last price but one to the last. */
function slide(times: number[], lines: number[][], until: number): void {
  const end = times.at(-1) as number;
  const before = times.at(-2) as number;
  const part = Math.min(1, Math.max(0, (until - end) / (end - before)));
  times[times.length - 1] = Math.max(before + 0.001, Math.min(end, until));
  for (const line of lines) {
    const a = line.at(-2) as number;
    const b = line.at(-1) as number;
    line[line.length - 1] = a + (b - a) * part;
  }
  times[times.length - 1] = before + (end - before) * part;
}

function axisPrice(value: number, ticks: readonly number[]): string {
  const step = Math.abs((ticks[1] ?? value) - (ticks[0] ?? 0));
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function shade(u: uPlot, colour: string): CanvasGradient {
  const gradient = u.ctx.createLinearGradient(0, u.bbox.top, 0, u.bbox.top + u.bbox.height);
  gradient.addColorStop(0, `color-mix(in srgb, ${colour} 26%, transparent)`);
  gradient.addColorStop(1, `color-mix(in srgb, ${colour} 2%, transparent)`);
  return gradient;
}

/** A dot at the end of each line, and the line's value or name. */
function drawEnds(u: uPlot, symbols: readonly string[], colour: (name: string) => string, font: string, newest: number | null, live: boolean): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const times = u.data[0];
  const x = u.valToPos(times.at(-1) ?? 0, 'x', true);
  ctx.save();
  ctx.font = font.replace('11px', `${11 * ratio}px`).replace('500', '600');
  ctx.textBaseline = 'middle';
  symbols.forEach((symbol, i) => {
    const value = u.data[i + 1]?.at(-1);
    if (typeof value !== 'number') return;
    const y = u.valToPos(value, 'y', true);
    const stroke = live ? colour(`--line-${symbol}`) || colour('--accent') : colour('--muted');
    if (newest !== null) dashed(ctx, bbox, y, stroke, ratio);
    ctx.fillStyle = stroke;
    ctx.beginPath();
    ctx.arc(x, y, 3.5 * ratio, 0, Math.PI * 2);
    ctx.fill();
    if (newest !== null) tag(ctx, bbox.left + bbox.width, y, format.price(newest), stroke, colour('--card'), ratio);
  });
  ctx.restore();
}

function dashed(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, y: number, stroke: string, ratio: number): void {
  ctx.strokeStyle = stroke;
  ctx.globalAlpha = 0.45;
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

function tag(ctx: CanvasRenderingContext2D, x: number, y: number, text: string, fill: string, ink: string, ratio: number): void {
  const height = 20 * ratio;
  ctx.fillStyle = fill;
  ctx.beginPath();
  ctx.roundRect(x + ratio, y - height / 2, 65 * ratio, height, 5 * ratio);
  ctx.fill();
  ctx.fillStyle = ink;
  ctx.fillText(text, x + 7 * ratio, y + 0.5 * ratio);
}
