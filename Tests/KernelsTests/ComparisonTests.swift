import Glibc
import Kernels
import Testing

@Suite struct ComparisonTests {
  private func logSoftmax(_ x: [Float]) -> [Double] {
    let most = Double(x.max() ?? 0)
    let total = log(x.reduce(0) { $0 + exp(Double($1) - most) }) + most
    return x.map { Double($0) - total }
  }

  @Test(arguments: [1, 17, 1000, 49152, 50257], [0, 1e-3, 0.1, 3, 40] as [Float])
  func agreesWithDoubles(_ count: Int, _ difference: Float) {
    var random = Random(UInt64(count))
    let a = random.floats(count, scale: 12)
    let b = a.map { $0 + random.float() * difference }
    let (p, q) = (logSoftmax(a), logSoftmax(b))
    let divergence = zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
    let target = count / 3
    var first: LogitsComparison?
    for kernels in Kernels.available {
      let got = kernels.compare(reference: Floats(a), candidate: Floats(b), target: target)
      if first == nil { first = got }
      #expect(got == first)
      #expect(abs(got.referenceLogProbability - p[target]) < 1e-6)
      #expect(abs(got.candidateLogProbability - q[target]) < 1e-6)
      #expect(abs(got.divergence - divergence) <= 1e-9 + 1e-5 * divergence)
      #expect(a[got.referenceTop] == a.max() && b[got.candidateTop] == b.max())
      let alone = kernels.score(Floats(a), target: target)
      #expect(alone.logProbability == got.referenceLogProbability && alone.top == got.referenceTop)
    }
  }

  @Test func theFirstOfEqualLogitsWins() {
    let x = Floats([1, 3, 2, 3] + [Float](repeating: 0, count: 40))
    for kernels in Kernels.available { #expect(kernels.score(x, target: 0).top == 1) }
  }
}
