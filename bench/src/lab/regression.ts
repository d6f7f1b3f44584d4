/**
 * Logistic regression by Newton's method, with L2. Features are squashed and brought to mean 0 and deviation 1 first, and
 * their squares are features too. Both classes weigh the same, whatever their numbers.
 */

export interface Example {
  readonly features: readonly number[]
  readonly isLinked: boolean
}

const penalty = 1
const mostSteps = 25
const enough = 1e-6

/** What gives the log-odds of a pair, up to a constant. */
export type Model = (features: readonly number[]) => number

export function learn(examples: readonly Example[]): Model {
  const prepare = preparation(examples.map(({ features }) => features))
  const rows = examples.map(({ features }) => prepare(features))
  const linked = examples.filter(({ isLinked }) => isLinked).length
  const weightOf = (isLinked: boolean) => examples.length / 2 / (isLinked ? linked : examples.length - linked)
  const size = rows[0]?.length ?? 0
  const weights = new Float64Array(size)
  for (let step = 0; step < mostSteps; step++) {
    const gradient = Array.from(weights, (weight, index) => (index === 0 ? 0 : -penalty * weight))
    const hessian = Array.from({ length: size }, (_, at) =>
      Float64Array.from({ length: size }, (_, other) => (at === other ? penalty : 0)),
    )
    for (const [index, row] of rows.entries()) {
      const { isLinked } = examples[index] as Example
      const chance = 1 / (1 + Math.exp(-dot(weights, row)))
      const weight = weightOf(isLinked)
      const slope = weight * ((isLinked ? 1 : 0) - chance)
      const curve = weight * chance * (1 - chance)
      for (let at = 0; at < size; at++) {
        const value = row[at] as number
        if (value === 0) continue
        gradient[at] = (gradient[at] as number) + slope * value
        const line = hessian[at] as Float64Array
        for (let other = 0; other <= at; other++)
          line[other] = (line[other] as number) + curve * value * (row[other] as number)
      }
    }
    for (let at = 0; at < size; at++) {
      for (let other = 0; other < at; other++)
        (hessian[other] as Float64Array)[at] = (hessian[at] as Float64Array)[other] as number
    }
    const change = solve(hessian, gradient)
    // Where the classes part completely, weights would grow for ever.
    const longest = Math.max(...change.map(Math.abs))
    const scale = Math.min(1, 2 / longest)
    for (let at = 0; at < size; at++) weights[at] = (weights[at] as number) + scale * (change[at] as number)
    if (longest < enough) break
  }
  return (features) => dot(weights, prepare(features))
}

function preparation(all: readonly (readonly number[])[]): (features: readonly number[]) => Float64Array {
  const count = all[0]?.length ?? 0
  const scaler = (valuesOf: (features: readonly number[]) => number) => {
    const values = all.map(valuesOf)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
    return (value: number) => (deviation < 1e-9 ? 0 : (value - mean) / deviation)
  }
  const at = (index: number) => (features: readonly number[]) => squash(features[index] as number)
  const scalers = Array.from({ length: count }, (_, index) => scaler(at(index)))
  const squares = Array.from({ length: count }, (_, index) => scaler((features) => at(index)(features) ** 2))
  return (features) => {
    const row = new Float64Array(2 * count + 1)
    row[0] = 1
    for (let index = 0; index < count; index++) {
      const value = squash(features[index] as number)
      row[index + 1] = (scalers[index] as (value: number) => number)(value)
      row[count + index + 1] = (squares[index] as (value: number) => number)(value ** 2)
    }
    return row
  }
}

function squash(value: number): number {
  return Math.sign(value) * Math.log1p(Math.abs(value))
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number)
  return sum
}

/** Gaussian elimination with partial pivoting; changes its arguments. */
function solve(matrix: Float64Array[], right: number[]): number[] {
  const size = right.length
  const cell = (row: number, column: number) => (matrix[row] as Float64Array)[column] as number
  for (let column = 0; column < size; column++) {
    let pivot = column
    for (let row = column + 1; row < size; row++)
      if (Math.abs(cell(row, column)) > Math.abs(cell(pivot, column))) pivot = row
    ;[matrix[column], matrix[pivot]] = [matrix[pivot] as Float64Array, matrix[column] as Float64Array]
    ;[right[column], right[pivot]] = [right[pivot] as number, right[column] as number]
    for (let row = column + 1; row < size; row++) {
      const factor = cell(row, column) / cell(column, column)
      if (factor === 0) continue
      const line = matrix[row] as Float64Array
      for (let other = column; other < size; other++)
        line[other] = (line[other] as number) - factor * cell(column, other)
      right[row] = (right[row] as number) - factor * (right[column] as number)
    }
  }
  for (let row = size - 1; row >= 0; row--) {
    let rest = right[row] as number
    for (let other = row + 1; other < size; other++) rest -= cell(row, other) * (right[other] as number)
    right[row] = rest / cell(row, row)
  }
  return right
}
