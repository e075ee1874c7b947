/** The package has no types. */
declare module 'parse-prometheus-text-format' {
  export default function parsePrometheusText(text: string): {
    readonly name: string
    readonly help: string
    readonly type: 'COUNTER' | 'GAUGE' | 'HISTOGRAM' | 'SUMMARY' | 'UNTYPED'
    readonly metrics: readonly unknown[]
  }[]
}
