using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Rows of x as <see cref="Int8Tiles"/> read them, rounded as <see cref="Int8Rounding"/> says.</summary>
/// <remarks>
/// A block of 128 columns holds, each for all rows in turn: their steps; −Σ q of each part; and for every four bytes of a weight row's
/// codes the q that meet the first code of each byte, those that meet the second, and so on.
/// </remarks>
/// <param name="bits">Of a code: 2, 4 or 8.</param>
/// <param name="parts">Pieces of a block that may lie in groups of their own: 1, 2 or 4.</param>
/// <param name="count">Rows.</param>
internal readonly unsafe struct Int8Layout(int bits, int parts, int count)
{
    private const int ChunkBytes = 16;

    /// <summary>Bits of a code.</summary>
    public int Bits => bits;

    /// <summary>Parts of a block.</summary>
    public int Parts => parts;

    /// <summary>Rows.</summary>
    public int Count => count;

    /// <summary>Bytes of a block of all rows.</summary>
    public int BlockBytes => ((sizeof(int) * (1 + parts)) + PackedRows.Block) * count;

    /// <summary>Codes of a byte.</summary>
    public int Fields => 8 / bits;

    /// <summary>Bytes of q that meet four bytes of codes.</summary>
    private int UnitBytes => sizeof(int) * Fields;

    /// <summary>Where the step of a row lies in a block.</summary>
    public static int StepOffset(int row) => sizeof(float) * row;

    /// <summary>Where −Σ q of a row and part lies in a block.</summary>
    public int TotalOffset(int row, int part) => sizeof(int) * (((1 + part) * count) + row);

    /// <summary>Where the q of a row lie that meet a code of four bytes.</summary>
    public int CodeOffset(int step, int row, int field) => (sizeof(int) * (1 + parts) * count) + (((step * count) + row) * UnitBytes) + (sizeof(int) * field);

    /// <summary>Rounds and arranges rows, padded with zeros to whole blocks.</summary>
    /// <param name="x">[count, columns]</param>
    /// <param name="stride">Floats from a row to the next.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="target">[blocks, <see cref="BlockBytes"/>]</param>
    public void Arrange(float* x, long stride, int columns, byte* target)
    {
        sbyte* quantized = stackalloc sbyte[PackedRows.Block];
        int* totals = stackalloc int[Int8Rounding.Quarters];
        for (int start = 0; start < columns; start += PackedRows.Block, target += BlockBytes)
        {
            int length = Math.Min(PackedRows.Block, columns - start);
            for (int row = 0; row < count; row++)
            {
                *(float*)(target + StepOffset(row)) = Int8Rounding.Quantize(x + (row * stride) + start, length, quantized, totals);
                for (int part = 0; part < parts; part++)
                {
                    int total = 0;
                    for (int quarter = part * Int8Rounding.Quarters / parts; quarter < (part + 1) * Int8Rounding.Quarters / parts; quarter++)
                    {
                        total += totals[quarter];
                    }

                    *(int*)(target + TotalOffset(row, part)) = -total;
                }

                Scatter((byte*)quantized, target + CodeOffset(0, row, 0));
            }
        }
    }

    /// <summary>Writes the q of a block and row: those of four bytes of codes by field, the rows of the same bytes behind each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Scatter(byte* quantized, byte* target)
    {
        (int unit, int stride) = (UnitBytes, UnitBytes * count);
        for (int chunk = 0; chunk < PackedRows.Block; chunk += ChunkBytes)
        {
            Vector128<byte> q = Vector128.Load(quantized + chunk);
            switch (unit)
            {
                case 4:
                    for (int i = 0; i < 4; i++, target += stride)
                    {
                        *(uint*)target = q.AsUInt32()[i];
                    }

                    break;
                case 8:
                    q = Vector128.Shuffle(q, Vector128.Create((byte)0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
                    *(ulong*)target = q.AsUInt64()[0];
                    *(ulong*)(target + stride) = q.AsUInt64()[1];
                    target += 2 * stride;
                    break;
                default:
                    Vector128.Shuffle(q, Vector128.Create((byte)0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)).Store(target);
                    target += stride;
                    break;
            }
        }
    }
}
