/**
 * The counts of a batch in words and as the parts of a bar. It touches no page.
 *
 * @module bulk/counts
 */

/**
 * What a reader of a bar tells apart, in its order.
 *
 * @type {{ look: string, statuses: string[], words: (count: number) => string }[]}
 */
const PARTS = [
  { look: "delivered", statuses: ["delivered"], words: (count) => `${count} delivered` },
  { look: "sent", statuses: ["sent"], words: (count) => `${count} sent` },
  { look: "sending", statuses: ["sending"], words: (count) => `${count} being sent` },
  { look: "failed", statuses: ["failed", "undelivered"], words: (count) => `${count} failed` },
  { look: "unknown", statuses: ["unknown"], words: (count) => `${count} not known yet` },
  { look: "canceled", statuses: ["canceled"], words: (count) => `${count} stopped` },
  { look: "queued", statuses: ["queued"], words: (count) => `${count} waiting` },
];

/**
 * @param {{ messages: number, counts: Record<string, number> }} batch
 * @returns {{
 *   all: number, waiting: number, unsent: number, failed: number, words: string,
 *   parts: { look: string, count: number, share: number }[],
 * }}
 *   `waiting`: whose end is not known and that are not with a carrier. `unsent`: that can be stopped.
 */
export function summarize({ messages, counts }) {
  const known = PARTS.flatMap(({ statuses }) => statuses);
  const others = Object.keys(counts).filter((status) => !known.includes(status));
  const groups = PARTS.map(({ look, statuses, words }) => {
    const count = statuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
    return { look, count, words: words(count) };
  });
  // A status of a later API shows by its name.
  for (const status of others)
    groups.push({ look: "sent", count: counts[status], words: `${counts[status]} ${status}` });
  const all = groups.reduce((sum, { count }) => sum + count, 0);
  const present = groups.filter(({ count }) => count > 0);
  const countOf = (look) => groups.find((group) => group.look === look)?.count ?? 0;
  const erased = messages - all;
  return {
    all,
    waiting: countOf("queued") + countOf("unknown"),
    unsent: countOf("queued"),
    failed: countOf("failed"),
    words: [`Of ${messages}`, present.map(({ words }) => words), erased > 0 ? `${erased} deleted` : []]
      .flat()
      .join(" · "),
    parts: present.map(({ look, count }) => ({ look, count, share: count / all })),
  };
}
