import Kernels

extension BlockRunner {
  /// attended = latent attention's values, [rows, heads · value].
  func attend(
    _ normed: Matrix, _ latent: LatentProjection, _ projected: Matrix, _ layer: Int, _ context: BatchContext,
    into attended: Matrix
  ) {
    let heads = latent.heads
    let rows = normed.rows
    let query = projected.columns(0..<latent.query.rows)
    // [latent | rotary]: as it is, the one key of all heads; its latent part is the value, too.
    let key = projected.columns(latent.query.rows..<projected.columns)
    let value = key.columns(0..<latent.latentLength)
    input.set(normed)
    if let queryDown = latent.queryDown {
      let low = Matrix(buffers.queryDown, rows: rows, columns: queryDown.rows)
      processor.multiply(input, [queryDown.product(into: low), latent.down.product(into: key)])
      latent.queryNorm?.apply(low, into: low, on: processor)
      input.set(low)
      latent.query.apply(input, into: query, on: processor)
    } else {
      processor.multiply(input, [latent.query.product(into: query), latent.down.product(into: key)])
    }
    latent.norm.apply(value, into: value, on: processor)
    let queryLength = latent.plainLength + latent.rotaryLength
    rotate(query, heads: heads.count, length: queryLength, offset: latent.plainLength, layer, context)
    rotate(key, heads: 1, length: heads.keyLength, offset: latent.latentLength, layer, context)
    let absorbed = Matrix(buffers.absorbed, rows: rows, columns: heads.queryWidth)
    for head in 0..<heads.count {
      let own = query.columns(head * queryLength..<(head + 1) * queryLength)
      let target = absorbed.columns(head * heads.keyLength..<(head + 1) * heads.keyLength)
      input.set(own.columns(0..<latent.plainLength))
      processor.multiply(input, latent.keyUp[head], into: target.columns(0..<latent.latentLength))
      target.columns(latent.latentLength..<target.columns).copy(from: own.columns(latent.plainLength..<queryLength))
    }
    append(key, value, layer, context)
    let seen = Matrix(buffers.latentAttended, rows: rows, columns: heads.count * latent.latentLength)
    attend(absorbed, heads, layer, context, into: seen)
    let length = latent.valueUp[0].rows
    for head in 0..<heads.count {
      input.set(seen.columns(head * latent.latentLength..<(head + 1) * latent.latentLength))
      processor.multiply(input, latent.valueUp[head], into: attended.columns(head * length..<(head + 1) * length))
    }
  }
}
