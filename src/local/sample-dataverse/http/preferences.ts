import type { WantsAnnotation } from '../query/row-json.ts';

/** The limit of the service. It ignores a larger page size (learn.microsoft.com: Page results). */
export const maximumPageSize = 5000;

export interface Preferences {
  maxPageSize?: number;
  trackChanges: boolean;
  returnRepresentation: boolean;
  continueOnError: boolean;
  includeAnnotations?: string;
  wants: WantsAnnotation;
  /** For `Preference-Applied`. */
  applied: string[];
}

export function parsePreferences(header: string | undefined): Preferences {
  const preferences: Preferences = {
    trackChanges: false,
    returnRepresentation: false,
    continueOnError: false,
    wants: () => false,
    applied: [],
  };
  for (const [text, name, quoted, bare] of (header ?? '').matchAll(
    /([^\s,;=]+)(?:=(?:"([^"]*)"|([^\s,;]*)))?/g,
  )) {
    applyPreference(preferences, text, name!.toLowerCase(), quoted ?? bare ?? '');
  }
  return preferences;
}

function applyPreference(preferences: Preferences, text: string, name: string, value: string): void {
  switch (name) {
    case 'odata.maxpagesize': {
      const size = Number(value);
      if (!Number.isInteger(size) || size < 1) return;
      preferences.maxPageSize = Math.min(size, maximumPageSize);
      break;
    }
    case 'odata.track-changes':
      preferences.trackChanges = true;
      break;
    case 'odata.continue-on-error':
      preferences.continueOnError = true;
      break;
    case 'odata.include-annotations':
      preferences.includeAnnotations = value;
      preferences.wants = annotationPattern(value);
      break;
    case 'return':
      preferences.returnRepresentation = value === 'representation';
      break;
    default:
      return;
  }
  preferences.applied.push(text);
}

/** `*`, `Microsoft.Dynamics.CRM.*` or full names. A `-` excludes what follows it; the last match decides. */
function annotationPattern(list: string): WantsAnnotation {
  const rules = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const excluded = part.startsWith('-');
      const pattern = excluded ? part.slice(1) : part;
      return { excluded, prefix: pattern.endsWith('*') ? pattern.slice(0, -1) : undefined, pattern };
    });
  return (name) => {
    let wanted = false;
    for (const rule of rules) {
      if (rule.prefix === undefined ? rule.pattern === name : name.startsWith(rule.prefix))
        wanted = !rule.excluded;
    }
    return wanted;
  };
}
