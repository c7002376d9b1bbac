using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// Which tiles of the other side a group's 64 rows or keys have to do with (<see cref="AttentionTile"/>). Of packed documents those outside the
/// range of the group's own are left out, so that their cost is that of the documents alone. All threads call together.
/// </summary>
public static class AttentionRange
{
    /// <summary>The first tile of keys that a group's rows see.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FirstKeyTile(AttentionGeometry geometry, int pair, int row)
    {
        ArrayView<int> scratch = SharedMemory.Allocate<int>(GroupReduction.ScratchLength);
        int own = geometry.OwnKey(row);
        int key = geometry.FirstKey(own);
        if (geometry.SegmentStride > 0)
        {
            int start = pair / geometry.KeyValueHeads * geometry.SegmentStride;
            int last = geometry.OwnKey(LastRow(geometry, row));
            int low = Lowest(geometry, start + own, start + last);
            int high = Highest(geometry, start + own, start + last);

            // Every query sees itself, so there is a key.
            int found = own;
            for (int i = key + Group.IdxX; i < found; i += AttentionTile.Threads)
            {
                int segment = geometry.Segments[start + i];
                found = segment >= low && segment <= high ? i : found;
            }

            key = GroupReduction.Min(found, scratch);
        }

        return key / AttentionTile.RightRows;
    }

    /// <summary>One past the last tile of keys that a group's rows see.</summary>
    public static int EndKeyTile(AttentionGeometry geometry, int row) =>
        (geometry.OwnKey(LastRow(geometry, row)) / AttentionTile.RightRows) + 1;

    /// <summary>The first tile of rows that see one of a group's keys.</summary>
    public static int FirstRowTile(AttentionGeometry geometry, int key) => geometry.FirstRow(key) / AttentionTile.RightRows;

    /// <summary>One past the last tile of rows that see one of a group's keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int EndRowTile(AttentionGeometry geometry, int pair, int key)
    {
        ArrayView<int> scratch = SharedMemory.Allocate<int>(GroupReduction.ScratchLength);
        int last = key + AttentionTile.LeftRows < geometry.KeyCount ? key + AttentionTile.LeftRows - 1 : geometry.KeyCount - 1;
        int end = geometry.EndRow(last);
        if (geometry.SegmentStride > 0 && end > 0)
        {
            int start = pair / geometry.KeyValueHeads * geometry.SegmentStride;
            int low = Lowest(geometry, start + key, start + last);
            int high = Highest(geometry, start + key, start + last);
            int found = key;
            for (int i = geometry.OwnKey(end - 1) - Group.IdxX; i > found; i -= AttentionTile.Threads)
            {
                int segment = geometry.Segments[start + i];
                found = segment >= low && segment <= high ? i : found;
            }

            found = -GroupReduction.Min(-found, scratch);
            end = geometry.FirstRow(found + 1);
        }

        return (end + AttentionTile.RightRows - 1) / AttentionTile.RightRows;
    }

    private static int LastRow(AttentionGeometry geometry, int row) =>
        row + AttentionTile.LeftRows < geometry.Rows ? row + AttentionTile.LeftRows - 1 : geometry.Rows - 1;

    private static int Lowest(AttentionGeometry geometry, int first, int last)
    {
        int lowest = geometry.Segments[first];
        for (int i = first + 1; i <= last; i++)
        {
            int segment = geometry.Segments[i];
            lowest = segment < lowest ? segment : lowest;
        }

        return lowest;
    }

    private static int Highest(AttentionGeometry geometry, int first, int last)
    {
        int highest = geometry.Segments[first];
        for (int i = first + 1; i <= last; i++)
        {
            int segment = geometry.Segments[i];
            highest = segment > highest ? segment : highest;
        }

        return highest;
    }
}
