using System.Runtime.ExceptionServices;

namespace PureQLora.Core;

/// <summary>Small products on a thread of their own, compared with plain C#: the last question before the tier is taken.</summary>
/// <typeparam name="TKernels">What runs the kernels.</typeparam>
internal static unsafe class AmxSelfTest<TKernels>
    where TKernels : struct, IAmxKernels
{
    /// <summary>Two steps and a rest.</summary>
    private const int Depth = 70;

    /// <summary>True where a full and a short product are right on a thread that <paramref name="prepare"/> has prepared.</summary>
    /// <param name="prepare">Prepares the calling thread until disposal.</param>
    public static bool Passes(Func<IDisposable> prepare)
    {
        bool right = false;
        Exception? failure = null;
        Thread thread = new(() =>
        {
#pragma warning disable CA1031 // whatever it is, it is thrown again on the caller's thread
            try
            {
                using IDisposable prepared = prepare();
                right = IsRight(AmxTiles<TKernels>.TallestRows) && IsRight(5);
            }
            catch (Exception exception)
            {
                failure = exception;
            }
#pragma warning restore CA1031
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        return right;
    }

    /// <summary>Multiplies small integers, so that every order of summation gives the same.</summary>
    private static bool IsRight(int height)
    {
        const int Columns = BFloat16Panels.Columns;
        int rows = AmxTiles<TKernels>.TallestRows;
        int leftFloats = rows * BFloat16Panels.LeftStride / sizeof(float);
        int rightFloats = Depth / 2 * BFloat16Panels.PairBytes / sizeof(float);
        using Scratch scratch = Scratch.Rent(leftFloats + rightFloats + (rows * Columns));
        float* left = scratch.Floats;
        float* right = left + leftFloats;
        float* c = right + rightFloats;                          // [height, 32]
        new Span<float>(left, leftFloats + rightFloats).Clear();
        for (int p = 0; p < Depth; p++)
        {
            for (int i = 0; i < height; i++)
            {
                ((ushort*)((byte*)left + (i * BFloat16Panels.LeftStride)))[p] = Bits(LeftValue(i, p));
            }

            for (int j = 0; j < Columns; j++)
            {
                ((ushort*)((byte*)right + (p / 2 * BFloat16Panels.PairBytes)))[(2 * j) + (p % 2)] = Bits(RightValue(p, j));
            }
        }

        TileArguments arguments = new() { Left = (byte*)left, Right = (byte*)right, Pairs = Depth / 2, C = c, StrideBytes = Columns * sizeof(float), Alpha = 0.5f };
        AmxTiles<TKernels>.Run(height, accumulate: false, arguments);
        AmxTiles<TKernels>.Run(height, accumulate: true, arguments);
        for (int at = 0; at < height * Columns; at++)
        {
            int sum = 0;
            for (int p = 0; p < Depth; p++)
            {
                sum += LeftValue(at / Columns, p) * RightValue(p, at % Columns);
            }

            if (c[at] != sum)
            {
                return false;
            }
        }

        return true;
    }

    private static int LeftValue(int row, int inner) => ((3 * row) + (5 * inner)) % 13 - 6;

    private static int RightValue(int inner, int column) => ((7 * inner) + (2 * column)) % 11 - 5;

    private static ushort Bits(int value) => ((BFloat16)(float)value).Bits;
}
