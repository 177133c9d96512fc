// Who has the page open: a face for each, one's own with a ring.
import type { Member } from 'wse-client';
import { colourOf, initialsOf, type Visitor } from './visitor';

const FACES = 5;

export function Here({ members, count, own }: { members: readonly Member<Visitor>[]; count: number; own: string | null }) {
  const faces = [...members].sort((a, b) => Number(b.id === own) - Number(a.id === own)).slice(0, FACES);
  const people = count === 1 ? 'Only you are here' : `${count} people are here`;
  return (
    <div className="here" data-testid="here" data-count={count} title={people}>
      <ul aria-label={people}>
        {faces.map(({ id, data }) => (
          <li key={id} className={id === own ? 'face own' : 'face'} style={colourOf(data)} title={`${data.name}${id === own ? ' (you)' : ''}, looking at ${data.symbol}`}>
            {initialsOf(data)}
          </li>
        ))}
        {count > faces.length && <li className="face more">+{count - faces.length}</li>}
      </ul>
      <span className="face more number" aria-hidden="true">
        {count}
      </span>
    </div>
  );
}
