//  "GGUF" │ version: u32 │ tensor count: u64 │ pair count: u64
//  pairs:    key: string │ type: u32 │ value
//            string: length: u64, bytes · array: type: u32, count: u64, values
//  tensors:  name: string │ axes: u32 │ dimensions: u64 each, innermost first │ type: u32 │ offset: u64
//  zeros to a multiple of general.alignment (32 unless given)
//  data: each tensor at its offset from here, which is such a multiple
//
//  Little-endian. Formats/Specs/gguf.md; every GGUF-n below is a rule there.

public import Bytes
public import IR
public import SystemPackage

/// One GGUF file as it stands, its header read and checked. Of a split model this is one part: see `GGUFFile`.
public struct GGUFPart: Sendable {
  public let file: InputFile
  /// 2 or 3; they differ in nothing that a little-endian reader sees.
  public let version: UInt32
  /// All pairs in file order.
  public let metadata: Metadata
  /// In file order; `name` is `sourceName`, shapes are outermost first.
  public let tensors: [TensorRef]
  /// Of the data and of each tensor in it, in bytes.
  public let alignment: Int
  /// Where the data begins: the header's length with its padding.
  public let dataOffset: Int

  /// Reads the header only, in time and memory proportional to it.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(GGUFError) {
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var parser = GGUFHeaderParser(file, limits: limits)
    try parser.parse()
    version = parser.version
    metadata = parser.metadata
    tensors = parser.tensors
    alignment = parser.alignment
    dataOffset = parser.dataOffset
  }
}
