using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Codes of a weight as <see cref="Int8Tiles"/> unpack them: where they are, or, of 3 bits, spread to 4.</summary>
internal static unsafe class Int8Codes
{
    /// <summary>Bytes behind the last row that may be read.</summary>
    private const int Spare = 64;

    /// <summary>Bits of a code as the kernels see it.</summary>
    public static int Bits(in PackedRows rows) => rows.Bits == 3 ? 4 : rows.Bits;

    /// <summary>True where kernels take such a weight: whole blocks are read, the last one of the last row too.</summary>
    public static bool Fits(in PackedRows rows) =>
        rows.HasWholeQuarters && ((rows.Blocks - 1) * BlockBytes(rows)) + Math.Max(BlockBytes(rows), Vector512<byte>.Count) <= rows.RowBytes + Spare;

    /// <summary>Asks for the codes of a tile, before anything else does.</summary>
    public static void Prefetch(in PackedRows rows, long row) => MatrixSource.Prefetch(rows.Codes + (row * rows.RowBytes), Int8Tiles.Rows * rows.RowBytes);

    /// <summary>Says where a kernel finds the codes of a tile, and asks for the scales and zero points of the next one.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="row">First row of the tile.</param>
    /// <param name="next">First row of the one that comes next; the same row where none does.</param>
    /// <param name="spread">[32, blocks, 64], working memory for codes of 3 bits.</param>
    /// <param name="arguments">Codes, their distance and those ahead are set.</param>
    public static void Locate(in PackedRows rows, long row, long next, byte* spread, Int8TileArguments* arguments)
    {
        if (next != row)
        {
            MatrixSource.Prefetch((byte*)(rows.Scales + (next * rows.Groups)), (long)Int8Tiles.Rows * rows.Groups * sizeof(float));
            MatrixSource.Prefetch(rows.Zeros + (next * rows.Groups), (long)Int8Tiles.Rows * rows.Groups);
        }

        if (Bits(rows) == rows.Bits)
        {
            arguments->Codes = rows.Codes + (row * rows.RowBytes);
            arguments->RowBytes = rows.RowBytes;
            arguments->Ahead = rows.Codes + (next * rows.RowBytes);
            arguments->AheadStep = Int8Tiles.Rows / Int8TileArguments.Streams * rows.RowBytes;
            return;
        }

        Prefetch(rows, next);
        arguments->Codes = arguments->Ahead = spread;
        (arguments->RowBytes, arguments->AheadStep) = ((long)rows.Blocks * Vector512<byte>.Count, 0);
        for (int i = 0; i < Int8Tiles.Rows; i++, spread += arguments->RowBytes)
        {
            Spread(rows.Codes + ((row + i) * rows.RowBytes), rows.Blocks, spread);
        }
    }

    private static int BlockBytes(in PackedRows rows) => PackedRows.Block * rows.Bits / 8;

    /// <summary>Takes the eight codes of 24 bits apart, by halves, quarters and single ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Spread(byte* codes, int blocks, byte* target)
    {
        for (int block = 0; block < blocks; block++, codes += 16 * ThreeBits.Bits, target += Vector512<byte>.Count)
        {
            Vector512<uint> word = ThreeBits.Load(codes);
            word = (word & Vector512.Create(0x000FFFu)) | ((word & Vector512.Create(0xFFF000u)) << 4);
            word = (word & Vector512.Create(0x003F003Fu)) | ((word & Vector512.Create(0x0FC00FC0u)) << 2);
            word = (word & Vector512.Create(0x07070707u)) | ((word & Vector512.Create(0x38383838u)) << 1);
            word.Store((uint*)target);
        }
    }
}
