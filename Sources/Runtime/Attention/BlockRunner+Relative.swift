import Glibc
import Kernels

/// What relative attention needs for one length of sequences.
final class RelativeWorkspace {
  /// Sines, then cosines, of the distances length … −(length − 1). [2 · length, width]
  fileprivate private(set) var waves = Matrix(rows: 0, columns: 0)
  private var length = 0

  fileprivate func prepare(length: Int, width: Int) {
    guard length != self.length else { return }
    self.length = length
    let pairs = width / 2
    let frequencies = (0..<pairs).map { Float(1 / pow(10000, Double(2 * $0) / Double(width))) }
    let table = RotaryTable(inverseFrequencies: frequencies, positions: length + 1)
    waves = Matrix(rows: 2 * length, columns: width)
    for row in 0..<2 * length {
      let distance = length - row
      let sines = table.sines(at: abs(distance)).array()
      let cosines = table.cosines(at: abs(distance)).array()
      waves[row].withMutableSpan { span in
        for i in 0..<pairs {
          span[i] = distance < 0 ? -sines[i] : sines[i]
          span[pairs + i] = cosines[i]
        }
      }
    }
  }
}

extension BlockRunner {
  /// Transformer-XL's attention, sequence by sequence: a score is (q + u) · k + (q + v) · r, where r is made of the
  /// distance of query and key (and (q + w) · s of whether their segments are the same, where segments are given).
  func attend(
    _ query: Matrix, _ key: Matrix, _ value: Matrix, _ relative: RelativeProjection, _ heads: AttentionHeads,
    _ layer: Int, _ context: BatchContext, into attended: Matrix
  ) {
    let biased = Matrix(buffers.biasedQuery, rows: query.rows, columns: 2 * heads.queryWidth)
    let content = biased.columns(0..<heads.queryWidth)
    let distant = biased.columns(heads.queryWidth..<biased.columns)
    processor.addBias(query, relative.contentBias, into: content)
    processor.addBias(query, relative.distanceBias, into: distant)
    for segment in context.segments {
      let cache = segment.cache(ofLayer: layer)
      processor.append(key.rows(segment.rows), value.rows(segment.rows), to: cache, at: segment.position)
      let scores = distanceScores(distant.rows(segment.rows), relative, heads)
      addSegmentScores(query.rows(segment.rows), segment.types, relative, heads, to: scores)
      let count = segment.rows.count
      for span in segment.spans {
        processor.attention(
          AttentionCall(
            content.rows(span.rows), heads: heads.count, cache: cache, position: span.position, length: span.length,
            scale: heads.scale, mask: AttentionMask(causal: span.isCausal),
            // Row i sees key j by way of the distance i − j, which is column count − i + j.
            bias: AttentionBias(
              scores, offset: count, headStride: 2 * count * count, tokenStride: 2 * count - 1),
            into: attended.rows(span.rows)))
      }
    }
  }

  /// (q + v) · r · scale for all distances. [heads, tokens, 2 · tokens]
  private func distanceScores(_ query: Matrix, _ relative: RelativeProjection, _ heads: AttentionHeads) -> Floats {
    let count = query.rows
    let length = heads.keyLength
    self.relative.prepare(length: count, width: configuration.width)
    let waves = self.relative.waves
    let input = ProductInput(tokens: waves.rows, columns: max(waves.columns, length))
    input.set(waves)
    let distances = Matrix(rows: waves.rows, columns: heads.queryWidth)
    relative.distance.apply(input, into: distances, on: processor)
    let scores = Floats(count: heads.count * count * waves.rows)
    let own = Matrix(rows: waves.rows, columns: length)
    for head in 0..<heads.count {
      own.copy(from: distances.columns(head * length..<(head + 1) * length))
      let weights = WeightMatrix(rows: own.rows, columns: length, storage: .f32)
      own.floats.buffer.withBytes(0..<own.rows * length * 4) { weights.fill(rows: 0..<own.rows, from: $0) }
      input.set(query.columns(head * length..<(head + 1) * length))
      let start = head * count * waves.rows
      let out = Matrix(scores[start..<start + count * waves.rows], rows: count, columns: waves.rows)
      processor.multiply(input, weights, into: out)
      processor.scale(out, by: heads.scale, into: out)
    }
    return scores
  }

  private func addSegmentScores(
    _ query: Matrix, _ types: [Int]?, _ relative: RelativeProjection, _ heads: AttentionHeads, to scores: Floats
  ) {
    guard let types, let bias = relative.segmentBias?.array(), let segments = relative.segments else { return }
    let count = query.rows
    let length = heads.keyLength
    let vectors = [segments[0].array(), segments[1].array()]
    for row in 0..<count {
      let values = query[row].array()
      for head in 0..<heads.count {
        var sums: [Float] = [0, 0]
        for i in head * length..<(head + 1) * length {
          sums[0] += (values[i] + bias[i]) * vectors[0][i]
          sums[1] += (values[i] + bias[i]) * vectors[1][i]
        }
        let start = (head * count + row) * 2 * count + count - row
        scores[start..<start + count].withMutableSpan { span in
          for key in 0..<count { span[key] += sums[types[key] == types[row] ? 0 : 1] * heads.scale }
        }
      }
    }
  }
}
