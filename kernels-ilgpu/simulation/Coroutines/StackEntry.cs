using System.Reflection;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>A value on the evaluation stack.</summary>
/// <param name="Type">What it is there: small integers are int, references to memory nint.</param>
/// <param name="Constant">Its value, if it is an int or a string that does not depend on how one got here.</param>
internal readonly record struct StackEntry(Type Type, object? Constant = null)
{
    /// <summary>A value of a type, as it is on the stack.</summary>
    public static StackEntry Of(Type type)
    {
        Type value = type.IsEnum ? Enum.GetUnderlyingType(type) : type;
        if (value.IsByRef || value.IsPointer || value == typeof(nuint))
        {
            return new(typeof(nint));
        }

        if (value == typeof(bool) || value == typeof(char) || value == typeof(byte) || value == typeof(sbyte)
            || value == typeof(short) || value == typeof(ushort) || value == typeof(uint))
        {
            return new(typeof(int));
        }

        return new(value == typeof(ulong) ? typeof(long) : value);
    }

    /// <summary>What a method takes from the stack, the object that it is called on first.</summary>
    public static Type[] Parameters(MethodBase method)
    {
        IEnumerable<Type> parameters = method.GetParameters().Select(parameter => parameter.ParameterType);
        return method.IsStatic ? [.. parameters] : [Receiver(method), .. parameters];
    }

    /// <summary>What an instance method gets as its first argument.</summary>
    public static Type Receiver(MethodBase method) =>
        method.DeclaringType!.IsValueType ? method.DeclaringType.MakeByRefType() : method.DeclaringType;
}
