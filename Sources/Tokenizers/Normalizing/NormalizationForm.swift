/// The four normalization forms (Unicode Standard Annex 15), linear but for the sorting of long runs of combining marks.
/// Bytes outside valid UTF-8 pass unchanged.
enum NormalizationForm: Sendable {
  case nfc, nfd, nfkc, nfkd

  func applied(to text: [UInt8]) -> [UInt8] {
    // ASCII, the usual case, is normal in every form.
    if text.allSatisfy({ $0 < 0x80 }) { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    let bytes = text.span
    var offset = 0
    var run: [UInt32] = []
    while offset < bytes.count {
      let scalar = UTF8Scalar(bytes, at: offset, end: bytes.count)
      if scalar.byteCount == 1, bytes[offset] >= 0x80 {
        flush(&run, into: &result)
        result.append(bytes[offset])
      } else {
        run.append(scalar.value)
        // A starter below U+0300 ends what came before it: nothing composes across it.
        if scalar.value < 0x80, run.count > 1 {
          run.removeLast()
          flush(&run, into: &result)
          run.append(scalar.value)
        }
      }
      offset += scalar.byteCount
    }
    flush(&run, into: &result)
    return result
  }

  private func flush(_ run: inout [UInt32], into result: inout [UInt8]) {
    if run.count == 1, run[0] < 0xA0 {
      result.append(scalar: run[0])
    } else if !run.isEmpty {
      var scalars: [UInt32] = []
      for scalar in run { decompose(scalar, into: &scalars) }
      Self.reorder(&scalars)
      if self == .nfc || self == .nfkc { Self.compose(&scalars) }
      for scalar in scalars { result.append(scalar: scalar) }
    }
    run.removeAll(keepingCapacity: true)
  }

  private func decompose(_ scalar: UInt32, into scalars: inout [UInt32]) {
    if (0xAC00..<0xD7A4).contains(scalar) {
      let index = scalar - 0xAC00
      scalars.append(0x1100 + index / 588)
      scalars.append(0x1161 + index % 588 / 28)
      if index % 28 > 0 { scalars.append(0x11A7 + index % 28) }
      return
    }
    if self == .nfkc || self == .nfkd, let all = NormalizationTables.shared.compatibility[scalar] {
      scalars += all
      return
    }
    // The tables give one level; the first part may decompose again, at most a few times.
    var tail: [UInt32] = []
    var first = scalar
    while let (head, second) = NormalizationTables.shared.decompositions[first] {
      first = head
      if let second { tail.append(second) }
    }
    scalars.append(first)
    scalars += tail.reversed()
  }

  /// Stable sort of each run of combining marks by class.
  private static func reorder(_ scalars: inout [UInt32]) {
    let classes = NormalizationTables.shared.combiningClasses
    var start = 0
    while start < scalars.count {
      guard classes[scalars[start]] != nil else {
        start += 1
        continue
      }
      var end = start
      while end < scalars.count, classes[scalars[end]] != nil { end += 1 }
      if end - start > 1 {
        let sorted = scalars[start..<end].enumerated().sorted {
          (classes[$0.element] ?? 0, $0.offset) < (classes[$1.element] ?? 0, $1.offset)
        }
        for (index, item) in sorted.enumerated() { scalars[start + index] = item.element }
      }
      start = end
    }
  }

  private static func compose(_ scalars: inout [UInt32]) {
    let tables = NormalizationTables.shared
    var starter = -1
    var lastClass: UInt8 = 0
    var count = 0
    for scalar in scalars {
      let combining = tables.combiningClasses[scalar] ?? 0
      if starter >= 0, count - starter == 1 || lastClass < combining,
        let composed = composition(scalars[starter], scalar, tables)
      {
        scalars[starter] = composed
        continue
      }
      if combining == 0 { starter = count }
      lastClass = combining
      scalars[count] = scalar
      count += 1
    }
    scalars.removeLast(scalars.count - count)
  }

  private static func composition(_ first: UInt32, _ second: UInt32, _ tables: NormalizationTables) -> UInt32? {
    if (0x1100..<0x1113).contains(first), (0x1161..<0x1176).contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if (0xAC00..<0xD7A4).contains(first), (first - 0xAC00) % 28 == 0, (0x11A8..<0x11C3).contains(second) {
      return first + second - 0x11A7
    }
    return tables.compositions[UInt64(first) << 32 | UInt64(second)]
  }
}
