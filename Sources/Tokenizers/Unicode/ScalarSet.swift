/// A set of Unicode scalars as an inversion list: members are `[b0, b1) ∪ [b2, b3) ∪ …`.
struct ScalarSet: Hashable, Sendable {
  private(set) var boundaries: [UInt32]

  static let end: UInt32 = 0x110000
  static let empty = ScalarSet(boundaries: [])
  static let all = ScalarSet(boundaries: [0, end])

  private init(boundaries: [UInt32]) { self.boundaries = boundaries }

  init(_ scalars: ClosedRange<UInt32>) { boundaries = [scalars.lowerBound, scalars.upperBound + 1] }
  init(_ scalar: UInt32) { boundaries = [scalar, scalar + 1] }

  /// The union of half-open ranges in any order.
  init(ranges: [Range<UInt32>]) {
    boundaries = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
      if let last = boundaries.last, range.lowerBound <= last {
        boundaries[boundaries.count - 1] = max(last, range.upperBound)
      } else {
        boundaries += [range.lowerBound, range.upperBound]
      }
    }
  }

  init(categories: [GeneralCategory]) {
    let runs = CategoryRun.all
    var ranges: [Range<UInt32>] = []
    for (index, run) in runs.enumerated() where categories.contains(run.category) {
      ranges.append(run.start..<(index + 1 < runs.count ? runs[index + 1].start : Self.end))
    }
    self.init(ranges: ranges)
  }

  var isEmpty: Bool { boundaries.isEmpty }

  var ranges: [Range<UInt32>] {
    stride(from: 0, to: boundaries.count, by: 2).map { boundaries[$0]..<boundaries[$0 + 1] }
  }

  /// Binary search.
  func contains(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = boundaries.count
    while low < high {
      let middle = (low + high) / 2
      if boundaries[middle] <= scalar { low = middle + 1 } else { high = middle }
    }
    return low % 2 == 1
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges: ranges + other.ranges) }

  var complement: ScalarSet {
    var result = boundaries
    if result.first == 0 { result.removeFirst() } else { result.insert(0, at: 0) }
    if result.last == Self.end { result.removeLast() } else { result.append(Self.end) }
    return ScalarSet(boundaries: result)
  }

  func intersection(_ other: ScalarSet) -> ScalarSet { complement.union(other.complement).complement }

  /// Unicode's White_Space property.
  static let whiteSpace = ScalarSet(ranges: [
    0x09..<0x0E, 0x20..<0x21, 0x85..<0x86, 0xA0..<0xA1, 0x1680..<0x1681, 0x2000..<0x200B, 0x2028..<0x202A,
    0x202F..<0x2030, 0x205F..<0x2060, 0x3000..<0x3001,
  ])

  static let decimalDigits = ScalarSet(categories: [.nd])

  /// Letters, marks, decimal and letter numbers, connectors and enclosed letters: `[\w]` as Oniguruma has it.
  static let wordInClass = ScalarSet(categories: [.lu, .ll, .lt, .lm, .lo, .mn, .mc, .me, .nd, .nl, .pc]).union(
    ScalarSet(ranges: [0x24B6..<0x24EA, 0x1F130..<0x1F14A, 0x1F150..<0x1F16A, 0x1F170..<0x1F18A]))

  /// Outside a class Oniguruma counts Latin-1's superscripts and fractions too.
  static let word = wordInClass.union(ScalarSet(ranges: [0xB2..<0xB4, 0xB9..<0xBA, 0xBC..<0xBF]))

  /// Adds every scalar that differs from a member in case only (simple folding, one scalar to one).
  var caseClosed: ScalarSet {
    var added = ranges
    for group in Self.caseGroups where group.contains(where: { contains($0) }) {
      added += group.map { $0..<($0 + 1) }
    }
    return ScalarSet(ranges: added)
  }

  private static let caseGroups: [[UInt32]] = {
    var groups: [UInt32: [UInt32]] = [:]
    func single(_ mapping: String) -> Unicode.Scalar? {
      mapping.unicodeScalars.count == 1 ? mapping.unicodeScalars.first : nil
    }
    for range in ScalarSet(categories: [.lu, .ll, .lt, .nl, .so, .mn]).ranges {
      for value in range {
        guard let scalar = Unicode.Scalar(value) else { continue }
        let upper = single(scalar.properties.uppercaseMapping) ?? scalar
        let folded = single(upper.properties.lowercaseMapping) ?? upper
        groups[folded.value, default: []].append(value)
      }
    }
    return groups.values.filter { $0.count > 1 }
  }()
}
