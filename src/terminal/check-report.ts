/** The answer of `GET /api/check`. */
export interface CheckReport {
  ok: boolean;
  checks: { name: string; ok: boolean; detail: string; hint?: string }[];
}

/** The checks for people: one line each, with the hint below. */
export function checkLines({ ok, checks }: CheckReport): string[] {
  const lines = checks.flatMap(({ name, ok, detail, hint }) => [
    `${ok ? 'ok    ' : 'FAILED'}  ${name}: ${detail}`,
    ...(hint === undefined ? [] : [`        → ${hint}`]),
  ]);
  const failed = checks.filter((check) => !check.ok).length;
  return [
    ...lines,
    ok ? `All ${checks.length} checks passed.` : `${failed} of ${checks.length} checks failed.`,
  ];
}
