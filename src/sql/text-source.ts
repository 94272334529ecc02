import { quoteIdentifier } from './identifiers.ts';

/** A column where it stands in an expression; `attnum` finds it again after a renaming. */
export interface ExpressionColumn {
  readonly column: string;
  readonly attnum: number;
}

/** Text made of several columns, as Postgres itself read the expression (`db/read-expression.ts`). */
export interface TextExpression {
  /** As the configuration has it. */
  readonly source: string;
  /** The SQL between the columns, in which every name is qualified, and the columns. */
  readonly parts: readonly (string | ExpressionColumn)[];
  /** False where a function in it is only STABLE: Postgres takes it in no index then. */
  readonly immutable: boolean;
}

/** Where a row's text comes from: a column, or an expression of several. */
export type TextSource = string | TextExpression;

/** The text of a row `alias` (`t`, `NEW`, a quoted table), in its own type: to be cast by whoever needs `text`. */
export function textSql(text: TextSource, alias: string): string {
  if (typeof text === 'string') return `${alias}.${quoteIdentifier(text)}`;
  const parts = text.parts.map((part) =>
    typeof part === 'string' ? part : `${alias}.${quoteIdentifier(part.column)}`,
  );
  return `(${parts.join('')})`;
}

/** A text of the configuration in SQL that is only shown: an expression stands as it was written. */
export function unreadText(text: string | { readonly expression: string }): TextSource {
  return typeof text === 'string' ? text : { source: text.expression, parts: [text.expression], immutable: false };
}

/** An expression as somebody could write it for the table alone. */
export function bareSql({ parts }: TextExpression): string {
  return parts.map((part) => (typeof part === 'string' ? part : quoteIdentifier(part.column))).join('');
}

/** The columns that a text is made of, each once, in the order in which they stand. */
export function textColumns(text: string | Pick<TextExpression, 'parts'>): readonly string[] {
  if (typeof text === 'string') return [text];
  return [...new Set(text.parts.flatMap((part) => (typeof part === 'string' ? [] : [part.column])))];
}

const SHOWN_CHARACTERS = 60;

/** A text's name in messages: the column's, or the beginning of the expression. */
export function textName(text: string | { readonly expression: string } | Pick<TextExpression, 'source'>): string {
  if (typeof text === 'string') return text;
  const line = ('source' in text ? text.source : text.expression).replace(/\s+/g, ' ').trim();
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS - 1)}…` : line;
}
