internal import Bytes
internal import IR

/// Normalization compiled. Text that is already normal is returned as it is.
struct NormalizerPipeline: Sendable {
  private enum Step: Sendable {
    case form(NormalizationForm)
    case literal(from: [UInt8], to: [UInt8])
    case regex(ScalarRegex, to: [UInt8])
    case prepend([UInt8])
    case strip(left: Bool, right: Bool)
    case scalars(ScalarNormalizer)
    case characterMap(CharacterMap)
  }

  private var steps: [Step] = []

  init(_ normalizers: [TokenizerModel.Normalizer]) throws(TokenizerError) {
    for (index, step) in normalizers.enumerated() { try append(step, path: "normalizer[\(index)]") }
  }

  private mutating func append(_ step: TokenizerModel.Normalizer, path: String) throws(TokenizerError) {
    switch step {
    case .nfc: steps.append(.form(.nfc))
    case .nfd: steps.append(.form(.nfd))
    case .nfkc: steps.append(.form(.nfkc))
    case .nfkd: steps.append(.form(.nfkd))
    case .lowercase: steps.append(.scalars(.lowercase))
    case .stripAccents: steps.append(.scalars(.stripMarks))
    case .strip(let left, let right): steps.append(.strip(left: left, right: right))
    case .prepend(let text): steps.append(.prepend(text.bytes))
    case .replace(.string(let pattern), let text):
      guard !pattern.isEmpty else { throw .invalid(path: path, "replaces an empty string") }
      steps.append(.literal(from: pattern.bytes, to: text.bytes))
    case .replace(.regex(let pattern), let text):
      do {
        steps.append(.regex(try ScalarRegex(pattern), to: text.bytes))
      } catch {
        throw .regex(path: path, pattern: pattern, error)
      }
    case .bert(let cleansText, let handlesChinese, let stripsAccents, let lowercases):
      if cleansText { steps.append(.scalars(.clean)) }
      if handlesChinese { steps.append(.scalars(.spaceIdeographs)) }
      if stripsAccents ?? lowercases { steps += [.form(.nfd), .scalars(.stripNonspacing)] }
      if lowercases { steps.append(.scalars(.lowercase)) }
    case .precompiled(let bytes): steps.append(.characterMap(try CharacterMap(bytes, path: path)))
    }
  }

  func normalized(_ text: [UInt8]) throws(TokenizerError) -> [UInt8] {
    var text = text
    for step in steps {
      switch step {
      case .form(let form): text = form.applied(to: text)
      case .literal(let from, let to): text = text.replacing(from, with: to)
      case .regex(let regex, let to): text = try Self.replace(regex, to, in: text)
      case .prepend(let prefix): if !text.isEmpty { text = prefix + text }
      case .strip(let left, let right): Self.strip(&text, left, right)
      case .scalars(let normalizer): text = normalizer.applied(to: text)
      case .characterMap(let map): text = map.applied(to: text)
      }
    }
    return text
  }

  private static func replace(_ regex: ScalarRegex, _ replacement: [UInt8], in text: [UInt8]) throws(TokenizerError)
    -> [UInt8]
  {
    var result: [UInt8] = []
    var position = 0
    do {
      for match in try regex.matches(in: text) {
        result += text[position..<match.lowerBound]
        result += replacement
        position = match.upperBound
      }
    } catch {
      throw .regex(path: "normalizer", pattern: regex.pattern, error)
    }
    return position == 0 ? text : result + text[position...]
  }

  private static func strip(_ text: inout [UInt8], _ left: Bool, _ right: Bool) {
    var start = 0
    var end = text.count
    while left, start < end {
      let scalar = UTF8Scalar(text.span, at: start, end: end)
      guard ScalarSet.whiteSpace.contains(scalar.value) else { break }
      start += scalar.byteCount
    }
    while right, end > start {
      var last = end - 1
      while last > start, text[last] & 0xC0 == 0x80 { last -= 1 }
      guard ScalarSet.whiteSpace.contains(UTF8Scalar(text.span, at: last, end: end).value) else { break }
      end = last
    }
    text = Array(text[start..<end])
  }
}

extension [UInt8] {
  /// The bytes with each occurrence of a pattern, from left to right, replaced. Linear but for long patterns.
  func replacing(_ pattern: [UInt8], with replacement: [UInt8]) -> [UInt8] {
    guard let first = pattern.first, contains(first) else { return self }
    var result: [UInt8] = []
    result.reserveCapacity(count)
    let text = span
    var offset = 0
    search: while offset < text.count {
      if text[offset] == first, offset + pattern.count <= text.count {
        var matched = 1
        while matched < pattern.count, text[offset + matched] == pattern[matched] { matched += 1 }
        if matched == pattern.count {
          result += replacement
          offset += matched
          continue search
        }
      }
      result.append(text[offset])
      offset += 1
    }
    return result
  }
}
