public import Kernels

extension Codec {
  /// For products with weights that stay encoded.
  public var blockDecoder: BlockDecoder {
    // Safe: the function decodes whole blocks of exactly this size.
    unsafe BlockDecoder(
      blockElements: format.elementsPerBlock, blockBytes: format.bytesPerBlock, decode: decodeFunction)
  }
}
