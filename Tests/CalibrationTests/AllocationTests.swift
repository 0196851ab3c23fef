import IR
import Passes
import Testing

@Suite struct AllocationTests {
  private func tensors(_ count: Int, seed: Int) -> [TensorChoices] {
    (0..<count).map { tensor in
      TensorChoices(
        name: .init("t\(tensor)"),
        choices: [BlockFormat.q2_K, .q4_K, .q6_K, .q8_0].enumerated().map { index, format in
          let mix = (tensor * 7919 + index * 104729 + seed * 31) % 97
          return .init(
            format: format, byteCount: 12 * (5 + 3 * index + tensor), loss: Double(mix + 1) / Double(index + 1))
        })
    }
  }

  @Test("no combination within the budget loses less", arguments: 0..<6)
  func exact(seed: Int) throws {
    let tensors = tensors(5, seed: seed)
    for budget in stride(from: 300, through: 1200, by: 84) {
      var best: Double?
      for code in 0..<1024 {
        let picks = (0..<5).map { tensors[$0].choices[code >> (2 * $0) & 3] }
        guard picks.reduce(0, { $0 + $1.byteCount }) <= budget else { continue }
        best = min(best ?? .infinity, picks.reduce(0) { $0 + $1.loss })
      }
      let found = Allocation(tensors, budget: budget)
      #expect((found == nil) == (best == nil))
      guard let found, let best else { continue }
      #expect(abs(found.loss - best) < 1e-9)
      #expect(found.byteCount <= budget)
    }
  }

  @Test("the smallest allocation for a loss")
  func byLoss() throws {
    let tensors = tensors(8, seed: 1)
    let all = try #require(Allocation(tensors, budget: 1 << 20))
    #expect(Allocation(tensors, maximumLoss: all.loss * 0.99) == nil)
    let found = try #require(Allocation(tensors, maximumLoss: all.loss * 2))
    #expect(found.loss <= all.loss * 2)
    let smaller = Allocation(tensors, budget: found.byteCount * 99 / 100)
    #expect(smaller.map { $0.loss > all.loss * 2 } ?? true)
  }
}
