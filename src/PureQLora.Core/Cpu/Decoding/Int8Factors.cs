using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Scales and zero points of 32 rows of a weight, with the rows side by side as <see cref="Int8Tiles"/> read them.</summary>
internal static unsafe class Int8Factors
{
    private const int Side = SquareTransposition.Side;
    private const int Length = Int8Tiles.FactorsLength;

    /// <summary>Floats of working memory: the factors of every group, and of every part.</summary>
    public static long BufferLength(in PackedRows rows) => (long)Length * (RoundedGroups(rows) + (rows.Blocks * rows.Parts));

    /// <summary>Arranges the factors of 32 rows.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="row">The first of the rows.</param>
    /// <param name="buffer">Working memory.</param>
    /// <returns>[blocks, parts, 64] in the working memory: the scales, then the zero points as integers.</returns>
    public static float* Arrange(in PackedRows rows, long row, float* buffer)
    {
        for (int half = 0; half < Int8Tiles.Rows / Side; half++, row += Side)
        {
            float* target = buffer + (half * Side);
            for (int group = 0; group < rows.Groups; group += Side, target += Length * Side)
            {
                long at = (row * rows.Groups) + group;
                SquareTransposition.Run(rows.Scales + at, rows.Groups, target, Length);
                Zeros(rows.Zeros + at, rows.Groups, target + Int8Tiles.Rows);
            }
        }

        int width = PackedRows.Block / rows.Parts;
        return rows.GroupSize == width && rows.Groups == rows.Blocks * rows.Parts ? buffer : Repeat(rows, width, buffer);
    }

    /// <summary>Zero points behind the last group may be those of the next row, as scales may: no column has them.</summary>
    [SkipLocalsInit]
    private static void Zeros(byte* zeros, long stride, float* target)
    {
        int* wide = stackalloc int[Side * Side];
        for (int i = 0; i < Side; i++)
        {
            Avx512F.ConvertToVector512Int32(Vector128.Load(zeros + (i * stride))).Store(wide + (i * Side));
        }

        SquareTransposition.Run((float*)wide, Side, target, Length);
    }

    /// <summary>The factors of each part; parts behind the last column repeat the last group: they meet zeros, but must be numbers.</summary>
    private static float* Repeat(in PackedRows rows, int width, float* buffer)
    {
        float* parts = buffer + ((long)Length * RoundedGroups(rows));
        for (int part = 0; part < rows.Blocks * rows.Parts; part++)
        {
            int group = (int)(Math.Min((long)part * width, rows.Columns - 1) / rows.GroupSize);
            new ReadOnlySpan<float>(buffer + ((long)group * Length), Length).CopyTo(new Span<float>(parts + ((long)part * Length), Length));
        }

        return parts;
    }

    private static int RoundedGroups(in PackedRows rows) => (rows.Groups + Side - 1) / Side * Side;
}
