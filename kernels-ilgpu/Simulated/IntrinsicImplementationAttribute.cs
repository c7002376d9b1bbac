namespace ILGPU.IR.Intrinsics;

/// <summary>Marks methods that ILGPU's compiler must not inline; without ILGPU it means nothing.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class IntrinsicImplementationAttribute : Attribute;
