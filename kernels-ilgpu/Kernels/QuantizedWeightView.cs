using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// A quantised weight as kernels see it. Rows are padded to panels of 128, columns are gathered into pieces of 32 that share a group; piece
/// p of row r is chunk ((panel · Pieces + p) · 128 + r % 128), times the chunks of a piece.
/// </summary>
/// <param name="Codes">[panels, Pieces, 128]</param>
/// <param name="Scales">[groups, PaddedRows]; 0 in rows that pad.</param>
/// <param name="Offsets">[groups, PaddedRows]: 2^23 plus the zero point; or the sixteen levels of a book.</param>
/// <param name="PieceGroups">[Pieces]</param>
/// <param name="Pieces">Pieces of a row.</param>
/// <param name="PaddedRows">A multiple of 128.</param>
public readonly record struct QuantizedWeightView(
    ArrayView<Word4> Codes, ArrayView<float> Scales, ArrayView<float> Offsets, ArrayView<int> PieceGroups, int Pieces, int PaddedRows);
