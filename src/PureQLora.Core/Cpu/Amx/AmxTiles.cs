using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>
/// Tiles of up to 32 × 32 on AMX. Sums are kept apart from the result, in [32, 32] floats each: rows of a wide result would fall into
/// few sets of the cache. Runs on threads that <see cref="AmxThread"/> has prepared, and on no others.
/// </summary>
/// <typeparam name="TKernels">What runs the kernels.</typeparam>
internal readonly unsafe struct AmxTiles<TKernels> : ITileCode
    where TKernels : struct, IAmxKernels
{
    /// <summary>Floats of the sums of one tile.</summary>
    public const int SumsLength = AmxKernels.SumsBytes / sizeof(float);

    /// <summary>Floats of the working memory of <see cref="Add"/>.</summary>
    public const int PaddingLength = (PaddedLeftBytes + PaddedRightBytes) / sizeof(float);

    private const int PaddedLeftBytes = 2 * AmxKernels.TileRows * AmxKernels.TileRowBytes;
    private const int PaddedRightBytes = AmxKernels.StepPairs * BFloat16Panels.PairBytes;

    public static int TallestRows => 2 * AmxKernels.TileRows;

    /// <inheritdoc/>
    /// <remarks>The memory of the left operand goes on to a multiple of 16 rows; what is in it does not matter.</remarks>
    public static void Run(int height, bool accumulate, in TileArguments arguments)
    {
        using Scratch scratch = Scratch.Rent(SumsLength + PaddingLength);
        float* sums = scratch.Floats;
        Add(height, arguments.Left, arguments.Right, (int)arguments.Pairs, continues: false, sums, arguments.Left, (byte*)(sums + SumsLength));
        Store(sums, height, arguments.Alpha, accumulate, arguments.C, arguments.StrideBytes / sizeof(float));
    }

    /// <summary>sums = left · right, or sums += that.</summary>
    /// <param name="height">Rows, 1 to <see cref="TallestRows"/>; the memory of the left operand goes on to a multiple of 16.</param>
    /// <param name="left">Rows of bfloat16, <see cref="BFloat16Panels.LeftStride"/> bytes apart.</param>
    /// <param name="right">[pairs, 32 columns, 2] bfloat16.</param>
    /// <param name="pairs">Pairs of inner elements, at most a block of them.</param>
    /// <param name="continues">Add to the sums.</param>
    /// <param name="sums">[32, 32], 64-byte aligned; rows from <paramref name="height"/> on become undefined.</param>
    /// <param name="next">4 KiB that are needed soon; may be any address.</param>
    /// <param name="padding"><see cref="PaddingLength"/> floats.</param>
    public static void Add(int height, byte* left, byte* right, int pairs, bool continues, float* sums, byte* next, byte* padding)
    {
        Debug.Assert(height >= 1 && height <= TallestRows, "No such tile.");
        bool tall = height > AmxKernels.TileRows;
        (int steps, int rest) = Math.DivRem(pairs, AmxKernels.StepPairs);
        AmxArguments arguments = new()
        {
            Left = left,
            Right = right,
            LeftEnd = left + (steps * AmxKernels.TileRowBytes),
            Sums = sums,
            Next = next,
        };
        if (rest > 0)
        {
            arguments.PaddedLeft = padding;
            arguments.PaddedRight = padding + PaddedLeftBytes;
            PadLeft(arguments.LeftEnd, tall ? TallestRows : AmxKernels.TileRows, rest, arguments.PaddedLeft);
            PadRight(right + ((long)steps * AmxKernels.StepPairs * BFloat16Panels.PairBytes), rest, arguments.PaddedRight);
        }

        TKernels.Run(tall, continues, arguments);
    }

    /// <summary>c = alpha · sums, or c += that, over whole tile rows.</summary>
    /// <param name="sums">[32, 32]</param>
    /// <param name="height">Rows.</param>
    /// <param name="alpha">Factor.</param>
    /// <param name="accumulate">Add to c.</param>
    /// <param name="c">[height, 32]</param>
    /// <param name="stride">Distance of c's rows, in elements.</param>
    public static void Store(float* sums, int height, float alpha, bool accumulate, float* c, long stride)
    {
        Vector512<float> factor = Vector512.Create(alpha);
        for (int row = 0; row < height; row++, sums += BFloat16Panels.Columns, c += stride)
        {
            for (int half = 0; half < BFloat16Panels.Columns; half += Vector512<float>.Count)
            {
                Vector512<float> sum = Vector512.Load(sums + half);
                Vector512<float> value = accumulate ? Vector512.FusedMultiplyAdd(sum, factor, Vector512.Load(c + half)) : sum * factor;
                value.Store(c + half);
            }
        }
    }

    /// <summary>The last pairs of the rows, zeros behind them.</summary>
    private static void PadLeft(byte* left, int rows, int pairs, byte* target)
    {
        Vector512<uint> kept = Vector512.LessThan(Vector512<uint>.Indices, Vector512.Create((uint)pairs));
        for (int row = 0; row < rows; row++)
        {
            (Vector512.Load((uint*)(left + (row * BFloat16Panels.LeftStride))) & kept).Store((uint*)(target + (row * AmxKernels.TileRowBytes)));
        }
    }

    private static void PadRight(byte* right, int pairs, byte* target)
    {
        Unsafe.CopyBlock(target, right, (uint)(pairs * BFloat16Panels.PairBytes));
        Unsafe.InitBlock(target + (pairs * BFloat16Panels.PairBytes), 0, (uint)((AmxKernels.StepPairs - pairs) * BFloat16Panels.PairBytes));
    }
}
