import CKernels

/// Which keys a query attends to, by absolute positions.
public struct AttentionMask: Sendable {
  /// Only keys at or before the query.
  public var causal: Bool
  /// Only keys less than this many positions before the query.
  public var slidingWindow: Int?

  public init(causal: Bool = true, slidingWindow: Int? = nil) {
    precondition(slidingWindow.map { $0 > 0 } ?? true)
    self.causal = causal
    self.slidingWindow = slidingWindow
  }
}

/// What is added to each score, after scale and softcap: floats[offset + head · headStride + token · tokenStride + key],
/// tokens counted from the first query, keys from position 0.
public struct AttentionBias: Sendable {
  public let floats: Floats
  public let offset: Int
  public let headStride: Int
  /// −1 where all queries share one vector over key − query, moved along.
  public let tokenStride: Int

  public init(_ floats: Floats, offset: Int, headStride: Int, tokenStride: Int) {
    self.floats = floats
    self.offset = offset
    self.headStride = headStride
    self.tokenStride = tokenStride
  }

  /// The index is linear in each, so its extremes are at the corners.
  func isInside(heads: Int, tokens: Int, keys: Int) -> Bool {
    guard heads > 0, tokens > 0, keys > 0 else { return true }
    return [0, (heads - 1) * headStride].allSatisfy { head in
      [0, (tokens - 1) * tokenStride].allSatisfy { token in
        offset + head + token >= 0 && offset + head + token + keys <= floats.count
      }
    }
  }
}

/// The attention of one sequence's queries over its keys and values.
public struct AttentionCall: Sendable {
  /// [tokens, heads · keyDim], row t at `position` + t.
  public let query: Matrix
  public let heads: Int
  public let cache: KeyValueCache
  public let position: Int
  /// Keys present.
  public let length: Int
  public let scale: Float
  public let mask: AttentionMask
  /// Scores become cap · tanh(score / cap).
  public let softcap: Float?
  public let bias: AttentionBias?
  /// [tokens, heads · valueDim]
  public let output: Matrix

  /// `length`: position + tokens where not given.
  public init(
    _ query: Matrix, heads: Int, cache: KeyValueCache, position: Int, length: Int? = nil, scale: Float,
    mask: AttentionMask = AttentionMask(), softcap: Float? = nil, bias: AttentionBias? = nil, into output: Matrix
  ) {
    let length = length ?? position + query.rows
    precondition(heads % cache.kvHeads == 0 && query.columns == heads * cache.keyDim, "the queries have another shape")
    precondition(
      output.rows == query.rows && output.columns == heads * cache.valueDim, "the output has another shape")
    precondition(position >= 0 && length >= 0 && length <= cache.capacity, "the cache is too small")
    if let bias { precondition(bias.isInside(heads: heads, tokens: query.rows, keys: length), "the bias is too small") }
    self.query = query
    self.heads = heads
    self.cache = cache
    self.position = position
    self.length = length
    self.scale = scale
    self.mask = mask
    self.softcap = softcap
    self.bias = bias
    self.output = output
  }

  /// One addition and one multiplication for each element of a key and of a value.
  var work: Int {
    query.rows * heads * min(length, mask.slidingWindow ?? length) * (cache.keyDim + cache.valueDim)
  }
}

/// Keys and values on their way into a cache. keys: [tokens, kvHeads · keyDim]; values: [tokens, kvHeads · valueDim].
public struct AppendCall: Sendable {
  public let keys: Matrix
  public let values: Matrix
  public let cache: KeyValueCache
  public let position: Int

  public init(_ keys: Matrix, _ values: Matrix, to cache: KeyValueCache, at position: Int) {
    precondition(
      keys.rows == values.rows && keys.columns == cache.kvHeads * cache.keyDim, "the keys have another shape")
    precondition(values.columns == cache.kvHeads * cache.valueDim, "the values have another shape")
    precondition(position >= 0 && position + keys.rows <= cache.capacity, "the cache is too small")
    self.keys = keys
    self.values = values
    self.cache = cache
    self.position = position
  }

  var arguments: quern_append {
    unsafe quern_append(
      cache: cache.arguments, k: keys.base, v: values.base, kStride: keys.stride, vStride: values.stride,
      position: position, tokens: keys.rows)
  }
}

extension Processor {
  /// Stores the keys and values of `k.rows` tokens from `position` on.
  public func append(_ k: Matrix, _ v: Matrix, to cache: KeyValueCache, at position: Int) {
    let call = AppendCall(k, v, to: cache, at: position)
    guard k.rows > 0 else { return }
    let alone = k.rows * (k.columns + v.columns) < Self.grain
    unsafe pool.run(kernels.math.append, call.arguments, tasks: cache.kvHeads, alone: alone)
  }

  /// The same for several sequences at once; no two into the same cache.
  public func append(_ calls: [AppendCall]) {
    let arguments = unsafe calls.map { unsafe $0.arguments }
    guard !calls.isEmpty else { return }
    unsafe pool.run(kernels.math.append, all: arguments) { unsafe $0.cache.kvHeads }
  }

  /// out = softmax(q · keysᵀ · scale + bias) · values for each head; heads share the keys of head · kvHeads / heads.
  ///
  /// Softmax runs over chunks of 256 keys counted from position 0, so scratch memory is bounded and the batch changes
  /// nothing.
  public func attention(_ call: AttentionCall) {
    guard call.query.rows > 0 else { return }
    let arguments = unsafe description(call)
    unsafe pool.run(
      kernels.math.attention, arguments, tasks: Self.tasks(arguments), alone: call.work < 8 * Self.grain)
  }

  /// The same for several sequences at once; their outputs must not overlap.
  public func attention(_ calls: [AttentionCall]) {
    let arguments = unsafe calls.filter { $0.query.rows > 0 }.map { unsafe description($0) }
    guard unsafe !arguments.isEmpty else { return }
    unsafe pool.run(kernels.math.attention, all: arguments, tasks: Self.tasks)
  }

  public func attention(
    _ q: Matrix, heads: Int, cache: KeyValueCache, position: Int, length: Int? = nil, scale: Float,
    mask: AttentionMask = AttentionMask(), softcap: Float? = nil, into out: Matrix
  ) {
    attention(
      AttentionCall(
        q, heads: heads, cache: cache, position: position, length: length, scale: scale, mask: mask, softcap: softcap,
        into: out))
  }

  private static func tasks(_ arguments: quern_attention) -> Int {
    let kvHeads = unsafe arguments.cache.kvHeads
    let allRows = unsafe arguments.tokens * (arguments.heads / kvHeads)
    return unsafe kvHeads * ((allRows + arguments.rowsPerTask - 1) / arguments.rowsPerTask)
  }

  private func description(_ call: AttentionCall) -> quern_attention {
    let allRows = call.query.rows * (call.heads / call.cache.kvHeads)
    // Enough shares for the threads, but whole tiles while there are enough of those.
    var rowsPerTask = min(allRows, Int(QUERN_ATTENTION_ROWS))
    if pool.threads > 1 {
      let wanted = (allRows * call.cache.kvHeads + pool.threads * 4 - 1) / (pool.threads * 4)
      let tile = kernels.math.tile
      let even = wanted >= tile ? wanted / tile * tile : wanted
      rowsPerTask = max(1, min(rowsPerTask, even))
    }
    return unsafe quern_attention(
      cache: call.cache.arguments, q: call.query.base, out: call.output.base, qStride: call.query.stride,
      outStride: call.output.stride, heads: call.heads, tokens: call.query.rows, position: call.position,
      length: call.length, scale: call.scale, softcap: call.softcap ?? 0, causal: call.mask.causal ? 1 : 0,
      window: call.mask.slidingWindow ?? 0, rowsPerTask: rowsPerTask,
      bias: call.bias.map { unsafe UnsafePointer($0.floats.base + $0.offset) },
      biasHeadStride: call.bias?.headStride ?? 0, biasTokenStride: call.bias?.tokenStride ?? 0)
  }
}
