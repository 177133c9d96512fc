// The state of the connection in the header.
import { milliseconds } from './format';
import { useNow, type Link } from './live';

const WORDS: Record<Link, string> = { connecting: 'Connecting…', live: 'Live', reconnecting: 'Reconnecting…', refused: 'Disconnected' };

export function LinkBadge({ link, rtt, lostAt }: { link: Link; rtt: number | null; lostAt: number | null }) {
  const now = useNow(1_000);
  const detail = link === 'live' ? (rtt === null ? '' : milliseconds(rtt)) : lostAt === null ? '' : `${Math.max(0, Math.round((now - lostAt) / 1000))} s`;
  return (
    <div className={`badge ${link}`} data-testid="badge" data-link={link}>
      <i aria-hidden="true" />
      <span role="status">{WORDS[link]}</span>
      <small>{detail}</small>
    </div>
  );
}
