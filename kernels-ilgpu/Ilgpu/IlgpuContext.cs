using ILGPU;

namespace PureQLora.Kernels;

/// <summary>How every context is made: level O1, our intrinsics, the functions of ILGPU.Algorithms.</summary>
internal static class IlgpuContext
{
    /// <summary>A context with the devices that <paramref name="configure"/> adds.</summary>
    public static Context Create(Action<Context.Builder> configure)
    {
        Context context = Context.Create(builder =>
        {
            builder.EnableAlgorithms().Optimize(OptimizationLevel.O1);
            configure(builder);
        });
        PtxIntrinsics.Register(context, typeof(IlgpuContext).Assembly);
        return context;
    }
}
