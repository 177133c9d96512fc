// The ways in which a client is tested: all of them, or the one that WAY names.
const { WAY } = process.env;

export function chosen(ways) {
  return ways.filter(({ name }) => WAY === undefined || name === WAY);
}
