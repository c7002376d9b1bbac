namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>What is known of a few bytes of memory that are only ever touched together.</summary>
internal struct ShadowCell
{
    /// <summary>Written by the host, or before the simulation looked.</summary>
    public const int HostSerial = 1;

    private AccessSet _reads;
    private AccessSet _writes;
    private AccessSet _atomics;

    /// <summary>The group that wrote it last, 0 for none; negative while an asynchronous copy is under way.</summary>
    public int Written { get; set; }

    /// <summary>Finds out with what an access races, and remembers it.</summary>
    public Finding Touch(AccessKind kind, in Accessor by, bool isShared)
    {
        Finding finding = kind switch
        {
            AccessKind.Read => Finding.Of(_writes.Find(by), AccessKind.Write).Or(_atomics.Find(by), AccessKind.Atomic),
            AccessKind.Atomic => Finding.Of(_writes.Find(by), AccessKind.Write).Or(_reads.Find(by), AccessKind.Read),
            _ => Finding.Of(_writes.Find(by), AccessKind.Write).Or(_atomics.Find(by), AccessKind.Atomic).Or(_reads.Find(by), AccessKind.Read),
        };
        bool isWritten = isShared ? Written == by.Serial : Written > 0;
        switch (kind)
        {
            case AccessKind.Read:
                _reads.Add(by);
                break;
            case AccessKind.Atomic:
                _atomics.Add(by);
                break;
            default:
                _writes.Add(by);
                break;
        }

        if (kind is AccessKind.Read or AccessKind.Atomic)
        {
            // Said once a cell: what follows would only repeat it.
            Finding unwritten = isWritten ? finding : finding with { IsUnwritten = true, IsPending = Written == -by.Serial };
            Written = isWritten ? Written : by.Serial;
            return unwritten;
        }

        Written = kind == AccessKind.PendingCopy ? -by.Serial : by.Serial;
        return finding;
    }
}
