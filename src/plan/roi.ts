import { usd } from '../amounts.ts';
import { plural } from '../plural.ts';

/** What a migration is weighed by; amounts in US dollars. */
export interface RoiInput {
  readonly documents: number;
  /** What embedding all of them costs, and where that is from. */
  readonly apiUsd: number;
  readonly apiFrom: string;
  /** Machines beside those that run anyway. */
  readonly computeUsd: number;
  readonly downtimeUsd: number;
  readonly hours: number;
  /** Of an hour of engineering. */
  readonly hourlyRateUsd: number;
  readonly queriesPerMonth: number;
  /** Recall of the search before and after, 0 to 1. */
  readonly recallBefore: number;
  readonly recallAfter: number;
  /** What it is worth that a query finds what it would otherwise have missed. */
  readonly valuePerQueryUsd: number;
}

/** Whether a migration pays; amounts in US dollars. */
export interface RoiReport {
  readonly documents: number;
  readonly costs: {
    readonly apiUsd: number;
    readonly computeUsd: number;
    readonly engineeringUsd: number;
    readonly downtimeUsd: number;
    readonly totalUsd: number;
  };
  readonly monthlyBenefitUsd: number;
  /** Months until the benefit has paid for the costs; undefined when it never does. */
  readonly breakEvenMonths: number | undefined;
  /** The month in which that happens, the first one being 1. */
  readonly breakEvenMonth: number | undefined;
  readonly yearlyBenefitUsd: number;
  /** The first year's benefit less the costs. */
  readonly firstYearNetUsd: number;
  /** What the numbers rest on, a sentence each. */
  readonly assumptions: readonly string[];
}

/**
 * Total cost against the benefit of better recall:
 * `monthly benefit = queries a month × (recall after − recall before) × value a query`, `break-even = total cost ÷ monthly benefit`.
 */
export function reckonRoi(input: RoiInput): RoiReport {
  const engineeringUsd = input.hours * input.hourlyRateUsd;
  const totalUsd = input.apiUsd + input.computeUsd + engineeringUsd + input.downtimeUsd;
  const gain = cleaned(input.recallAfter - input.recallBefore);
  const monthlyBenefitUsd = cleaned(input.queriesPerMonth * gain * input.valuePerQueryUsd);
  const breakEvenMonths = monthsToPay(totalUsd, monthlyBenefitUsd);
  return Object.freeze({
    documents: input.documents,
    costs: {
      apiUsd: input.apiUsd,
      computeUsd: input.computeUsd,
      engineeringUsd,
      downtimeUsd: input.downtimeUsd,
      totalUsd,
    },
    monthlyBenefitUsd,
    breakEvenMonths,
    breakEvenMonth: breakEvenMonths === undefined ? undefined : Math.max(1, Math.ceil(cleaned(breakEvenMonths))),
    yearlyBenefitUsd: 12 * monthlyBenefitUsd,
    firstYearNetUsd: 12 * monthlyBenefitUsd - totalUsd,
    assumptions: roiAssumptions(input),
  });
}

function monthsToPay(totalUsd: number, monthlyBenefitUsd: number): number | undefined {
  if (totalUsd === 0 && monthlyBenefitUsd >= 0) return 0;
  return monthlyBenefitUsd > 0 ? totalUsd / monthlyBenefitUsd : undefined;
}

/** Without what binary fractions add: 0.85 − 0.75 is 0.1. */
function cleaned(value: number): number {
  return Number(value.toPrecision(12));
}

function roiAssumptions(input: RoiInput): string[] {
  const { documents, queriesPerMonth, recallBefore, recallAfter, valuePerQueryUsd, hours, hourlyRateUsd } = input;
  const whole = (value: number): string => value.toLocaleString('en-US');
  return [
    `${whole(documents)} documents are embedded once: ${input.apiFrom}.`,
    input.computeUsd === 0
      ? 'Compute costs nothing: it runs on machines that are paid for anyway (--compute-usd).'
      : `Compute costs ${usd(input.computeUsd)} (--compute-usd).`,
    `Engineering takes ${whole(hours)} ${plural(hours, 'hour')} at ${usd(hourlyRateUsd)} (--hours, --rate), testing and deployment included.`,
    input.downtimeUsd === 0
      ? 'Downtime costs nothing: searches go on during the backfill, the swap takes milliseconds (--downtime-usd).'
      : `Downtime costs ${usd(input.downtimeUsd)} (--downtime-usd).`,
    `${whole(queriesPerMonth)} queries a month (--queries-per-month), the same every month.`,
    `Recall goes from ${recallBefore} to ${recallAfter} (--recall-before, --recall-after): measured on your own queries, not taken from a leaderboard.`,
    `Each query that finds what it would have missed is worth ${usd(valuePerQueryUsd)} (--value-per-query).`,
    'New documents, the price of queries, and hosting cost as much before as after; nothing is discounted.',
  ];
}

/** What embedding costs where no table was looked at. */
export function apiCost(documents: number, tokensPerDocument: number, usdPerMillionTokens: number): number {
  return cleaned((documents * tokensPerDocument * usdPerMillionTokens) / 1e6);
}
