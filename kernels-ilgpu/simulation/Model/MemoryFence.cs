namespace ILGPU;

/// <summary>
/// Fences order a thread's accesses as others see them. The simulation runs threads one at a time, so they do nothing; they are no substitute
/// for a barrier, and the race detector does not take them for one.
/// </summary>
public static class MemoryFence
{
    /// <summary>For the threads of the group.</summary>
    public static void GroupLevel()
    {
    }

    /// <summary>For all threads of the device.</summary>
    public static void DeviceLevel()
    {
    }

    /// <summary>For the device and the host.</summary>
    public static void SystemLevel()
    {
    }
}
