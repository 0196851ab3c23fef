import CKernels
import Kernels
import Testing

@Suite struct SHA256Tests {
  /// From FIPS 180-4's examples, and hashlib.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func knownAnswers(text: String, digest: String) { #expect(SHA256.hexadecimal(of: Array(text.utf8)) == digest) }

  @Test("pieces of any length give what the whole gives")
  func pieces() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    let whole = SHA256.hexadecimal(of: bytes)
    for size in [1, 7, 63, 64, 65, 200] {
      var hash = SHA256()
      for start in stride(from: 0, to: bytes.count, by: size) {
        hash.update(Array(bytes[start..<min(start + size, 1000)]))
      }
      #expect(hash.hexadecimal == whole, "\(size)")
    }
  }

  @Test("the processor's instructions and plain C agree")
  func plain() {
    let bytes = (0..<640).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
    var fast: [UInt32] = [1, 2, 3, 4, 5, 6, 7, 8]
    var slow = fast
    unsafe quern_sha256_blocks(&fast, bytes, 10)
    unsafe quern_sha256_blocks_plain(&slow, bytes, 10)
    #expect(fast == slow)
  }
}
