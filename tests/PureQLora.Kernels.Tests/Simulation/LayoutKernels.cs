using ILGPU;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>Kernels whose memory transactions can be counted by hand; groups of 32 threads.</summary>
internal static class LayoutKernels
{
    public const int N = 32;

    /// <summary>Every lane takes its element of the row: the warp reads 128 bytes at once.</summary>
    public static void CopyByRows(ArrayView<float> x, ArrayView<float> y)
    {
        for (int row = 0; row < N; row++)
        {
            float value = x[(row * N) + Group.IdxX];
            y[(row * N) + Group.IdxX] = value;
        }
    }

    /// <summary>Every lane walks along its own row: the warp reads 32 places far apart.</summary>
    public static void CopyByColumns(ArrayView<float> x, ArrayView<float> y)
    {
        for (int column = 0; column < N; column++)
        {
            float value = x[(Group.IdxX * N) + column];
            y[(column * N) + Group.IdxX] = value;
        }
    }

    /// <summary>Transposes a tile through shared memory whose rows are <paramref name="pitch"/> floats apart.</summary>
    public static void Transpose(ArrayView<float> x, ArrayView<float> y, int pitch)
    {
        ArrayView<float> tile = SharedMemory.Allocate<float>(N * pitch);
        int lane = Group.IdxX;
        for (int row = 0; row < N; row++)
        {
            tile[(row * pitch) + lane] = x[(row * N) + lane];
        }

        Group.Barrier();
        for (int row = 0; row < N; row++)
        {
            y[(row * N) + lane] = tile[(lane * pitch) + row];
        }
    }

    /// <summary>Vectors of 16 bytes, one after the other, and one for all lanes.</summary>
    public static void Vectors(ArrayView<float> x, ArrayView<float> y)
    {
        ArrayView<Quad> shared = SharedMemory.Allocate<Quad>(N);
        Quad own = x.Cast<Quad>()[Group.IdxX];
        Quad first = x.Cast<Quad>()[0];
        shared[Group.IdxX] = own;
        Warp.Barrier();
        Quad same = shared[3];
        y[Group.IdxX] = first.X + same.X;
    }

    /// <summary>Only even lanes read, two bytes each; odd ones go round one more time.</summary>
    public static void Unevenly(ArrayView<ushort> x, ArrayView<float> y)
    {
        float sum = 0;
        for (int i = 0; i < 1 + (Group.IdxX % 2); i++)
        {
            sum += x[(i * N) + Group.IdxX];
        }

        y[Group.IdxX] = sum;
    }
}
