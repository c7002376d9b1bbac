using System.Runtime.CompilerServices;

namespace PureQLora.Core;

/// <summary>One multiplication after the other, on every processor: what the others are compared with when one is in doubt.</summary>
internal readonly unsafe struct MicroKernelScalar : IMicroKernel
{
    public static int Columns => 8;

    public static int TallestRows => 4;

    public static int PanelHeight(int rowsLeft) => 4;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tile(int height, float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        float* sums = stackalloc float[TallestRows * Columns];
        new Span<float>(sums, TallestRows * Columns).Clear();
        for (long p = 0; p < k; p++, a += TallestRows, b += Columns)
        {
            for (int i = 0; i < TallestRows; i++)
            {
                float left = a[i];
                for (int j = 0; j < Columns; j++)
                {
                    sums[(i * Columns) + j] += left * b[j];
                }
            }
        }

        for (int i = 0; i < TallestRows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                float value = alpha * sums[(i * Columns) + j];
                float* target = c + (i * stride) + j;
                *target = accumulate ? *target + value : value;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Dots(int rows, float* left, long stride, float** right, long k, float* sums)
    {
        for (int i = 0; i < rows; i++, left += stride)
        {
            for (int j = 0; j < 4; j++)
            {
                float* column = right[j];
                float sum = 0f;
                for (long p = 0; p < k; p++)
                {
                    sum += left[p] * column[p];
                }

                sums[(i * 4) + j] += sum;
            }
        }
    }
}
