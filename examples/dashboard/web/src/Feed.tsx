// The notifications, newest first.
import * as format from './format';
import { notificationKey, useNow } from './live';
import type { Notification } from './market';

const ICONS: Record<Notification['kind'], string> = {
  shipped: 'M2 5h9v8H2zM11 8h3.2L17 10.6V13h-6zM5 15.2a1.7 1.7 0 1 0 0-.1zM13 15.2a1.7 1.7 0 1 0 0-.1z',
  paid: 'M2 5h15v10H2zM2 8.2h15M5 12.2h3',
  delivered: 'M4 10.2l3.6 3.6L15.5 5.8',
  alert: 'M3 13.5l4-4.5 3 2.6 5.5-6.2M11.5 5.2h4v4',
  trade: 'M5.5 4v11M2.8 6.8 5.5 4l2.7 2.8M13.5 15V4M10.8 12.2l2.7 2.8 2.7-2.8',
};

export function Feed({ notifications }: { notifications: readonly Notification[] }) {
  const now = useNow(1_000);
  return (
    <section className="card feed" aria-label="Notifications">
      <div className="cardhead">
        <h2>Notifications</h2>
        <span className="topic">topic: notifications</span>
      </div>
      <ol data-testid="feed">
        {notifications.map((n) => (
          <li key={notificationKey(n)}>
            <svg className={n.kind} viewBox="0 0 19 19" aria-hidden="true">
              <path d={ICONS[n.kind]} />
            </svg>
            <p>{n.text}</p>
            {n.order_id === null ? <span /> : <span className="number">#{n.order_id}</span>}
            <time>{format.ago(n.at, now)}</time>
          </li>
        ))}
        {notifications.length === 0 && <li className="empty">The first one comes within seconds.</li>}
      </ol>
    </section>
  );
}
