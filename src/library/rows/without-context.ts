/** A row or result without `@odata.context`, which only repeats what was asked for. */
export function withoutContext<T extends object>(row: T): T {
  const { '@odata.context': _, ...rest } = row as Record<string, unknown>;
  return rest as T;
}
