using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>Kernels without a fault.</summary>
internal static class SoundKernels
{
    public const int Tile = 8;

    public static void Scale(ArrayView<float> x, ArrayView<float> y, float factor)
    {
        int i = Grid.GlobalIndex.X;
        if (i < x.Length)
        {
            y[i] = x[i] * factor;
        }
    }

    public static void AddOne(Index1D index, ArrayView<float> x) => x[index] += 1f;

    /// <summary>c = a · b, square, through tiles in shared memory.</summary>
    public static void MatMul(ArrayView<float> a, ArrayView<float> b, ArrayView<float> c, int n)
    {
        ArrayView<float> tileA = SharedMemory.Allocate<float>(Tile * Tile);
        ArrayView1D<float, Stride1D.Dense> tileB = SharedMemory.Allocate1D<float>(Tile * Tile);
        int x = Group.IdxX;
        int y = Group.IdxY;
        int row = (Grid.IdxY * Group.DimY) + y;
        int column = (Grid.IdxX * Group.DimX) + x;
        float sum = 0;
        for (int k = 0; k < n; k += Tile)
        {
            tileA[(y * Tile) + x] = a[(row * n) + k + x];
            tileB[(y * Tile) + x] = b[((k + y) * n) + column];
            Group.Barrier();
            for (int i = 0; i < Tile; i++)
            {
                sum += tileA[(y * Tile) + i] * tileB[(i * Tile) + x];
            }

            Group.Barrier();
        }

        c[(row * n) + column] = sum;
    }

    /// <summary>The sum of each group's numbers: shuffles within warps, shared memory between them.</summary>
    public static void Sum(ArrayView<float> x, ArrayView<float> sums)
    {
        ArrayView<float> ofWarps = SharedMemory.Allocate<float>(32);
        float sum = x[Grid.GlobalIndex.X];
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            sum += Warp.ShuffleXor(sum, distance);
        }

        if (Warp.IsFirstLane)
        {
            ofWarps[Warp.WarpIdx] = sum;
        }

        Group.Barrier();
        if (Group.IsFirstThread)
        {
            float total = 0;
            for (int i = 0; i < Group.DimX / Warp.WarpSize; i++)
            {
                total += ofWarps[i];
            }

            sums[Grid.IdxX] = total;
        }
    }

    public static void Shuffles(ArrayView<int> result)
    {
        int lane = Warp.LaneIdx;
        int first = Group.LinearIndex * 7;
        result[first] = Warp.Shuffle(lane, 5);
        result[first + 1] = Warp.Shuffle(lane, 9, 8);
        result[first + 2] = Warp.ShuffleUp(lane, 3);
        result[first + 3] = Warp.ShuffleDown(lane, 3);
        result[first + 4] = Warp.ShuffleDown(lane, 3, 16);
        result[first + 5] = Warp.ShuffleXor(lane, 9);
        result[first + 6] = Warp.Broadcast(lane, 31);
    }

    public static void Votes(ArrayView<int> result)
    {
        int i = Group.LinearIndex;
        int odd = Group.BarrierPopCount(i % 2 == 1);
        bool all = Group.BarrierAnd(i >= 0);
        bool most = Group.BarrierAnd(i > 0);
        bool any = Group.BarrierOr(i == 3);
        bool none = Group.BarrierOr(i < 0);
        result[i] = (odd * 100) + (all ? 1 : 0) + (most ? 2 : 0) + (any ? 4 : 0) + (none ? 8 : 0) + Group.Broadcast(i, 40);
    }

    public static void Histogram(ArrayView<int> x, ArrayView<int> counts)
    {
        ArrayView<int> mine = SharedMemory.GetDynamic<int>();
        for (int i = Group.IdxX; i < mine.IntLength; i += Group.DimX)
        {
            mine[i] = 0;
        }

        Group.Barrier();
        mine.AtomicAdd(x[Grid.GlobalIndex.X], 1);
        Group.Barrier();
        for (int i = Group.IdxX; i < mine.IntLength; i += Group.DimX)
        {
            counts.AtomicAdd(i, mine[i]);
        }
    }

    public static void Atomics(ArrayView<int> x)
    {
        x.AtomicMax(0, Group.IdxX);
        x.AtomicMin(1, -Group.IdxX);
        x.AtomicOr(2, 1 << (Group.IdxX % 4));
        x.AtomicAnd(3, ~(1 << Group.IdxX));
        x.AtomicXor(4, 3);
        x.AtomicCompareExchange(5, Group.IdxX, Group.IdxX + 1);
        x.AtomicExchange(6, 8);
    }

    /// <summary>Two tiles in flight: the next one comes while this one is used.</summary>
    public static void Pipeline(ArrayView<Quad> x, ArrayView<float> y, int tiles)
    {
        ArrayView<Quad> stages = SharedMemory.Allocate<Quad>(2 * 32);
        int lane = Group.IdxX;
        int other = (lane + 1) % 32;
        AsyncCopy.Issue(stages, lane, x, lane);
        AsyncCopy.Commit();
        float sum = 0;
        for (int tile = 0; tile < tiles; tile++)
        {
            int next = tile + 1;
            AsyncCopy.IssueOrZero(stages, (next % 2 * 32) + lane, x, (next * 32) + lane, copy: next < tiles);
            AsyncCopy.Commit();
            AsyncCopy.Wait(1);
            Group.Barrier();
            Quad quad = stages[(tile % 2 * 32) + other];
            sum += quad.X + quad.Y + quad.Z + quad.W;
            Group.Barrier();
        }

        y[lane] = sum;
    }

    public static void Locals(ArrayView<float> y)
    {
        ArrayView<float> powers = LocalMemory.Allocate<float>(4);
        powers[0] = 1;
        for (int i = 1; i < 4; i++)
        {
            powers[i] = powers[i - 1] * Group.IdxX;
        }

        Group.Barrier();
        y[Group.IdxX] = powers[3] + XMath.Max(Interop.IntAsFloat(Interop.FloatAsInt(1f)), 0f);
    }

    /// <summary>Every thread in turn takes a ticket, so the result tells in which order they came.</summary>
    public static void Tickets(ArrayView<int> counter, ArrayView<int> tickets) => tickets[Grid.GlobalIndex.X] = counter.AtomicAdd(0, 1);

    /// <summary>Lanes pass a value on through shared memory, with barriers of the warp only.</summary>
    public static void WarpRelay(ArrayView<int> y)
    {
        ArrayView<int> slots = SharedMemory.Allocate<int>(64);
        int i = Group.IdxX;
        slots[i] = i;
        Warp.Barrier();
        int next = slots[(i & 32) + ((i + 1) & 31)];
        Warp.Barrier();
        slots[i] = next;
        y[i] = slots[i];
    }
}
